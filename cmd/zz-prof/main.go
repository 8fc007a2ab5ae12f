package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"kafkarest/internal/app"
	"kafkarest/internal/config"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	cfg, err := config.Load(config.Source{Set: map[string]string{"bootstrap.servers": os.Args[1], "listeners": "http://127.0.0.1:18082"}})
	if err != nil {
		panic(err)
	}
	devnull, _ := os.OpenFile("/dev/null", os.O_WRONLY, 0)
	a, err := app.New(app.Options{Config: cfg, LogTo: devnull})
	if err != nil {
		panic(err)
	}
	if err := a.Start(); err != nil {
		panic(err)
	}
	f, _ := os.Create(os.Args[2])
	pprof.StartCPUProfile(f)
	<-ctx.Done()
	pprof.StopCPUProfile()
	f.Close()
	g, _ := os.Create(os.Args[2] + ".heap")
	pprof.Lookup("allocs").WriteTo(g, 0)
	g.Close()
	fmt.Println(a.Stop(ctx))
}
