package kafka

import "context"

// Await runs a request and gives up waiting when ctx ends. The client itself does not always: while it opens a connection to a broker that
// is frozen it looks at no context. The request goes on by itself until the client's own time-outs end it.
func Await[T any](ctx context.Context, request func(context.Context) (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answered := make(chan answer, 1)
	go func() {
		value, err := request(ctx)
		answered <- answer{value, err}
	}()
	select {
	case a := <-answered:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// AwaitError is Await for a request that has no answer but its error.
func AwaitError(ctx context.Context, request func(context.Context) error) error {
	_, err := Await(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, request(ctx) })
	return err
}
