package kafka

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
)

const (
	tokenTimeout  = 10 * time.Second
	maxTokenBytes = 1 << 20
)

// oauthMechanism gets tokens by client credentials (RFC 6749, section 4.4; KIP-768): the endpoint from sasl.oauthbearer.token.endpoint.url,
// the rest from sasl.jaas.config or from sasl.oauthbearer.client.credentials.* (KIP-1139).
func oauthMechanism(props map[string]string) (sasl.Mechanism, error) {
	login := jaasLogin{Options: map[string]string{}}
	if props["sasl.jaas.config"] != "" {
		var err error
		if login, err = loginFor("OAUTHBEARER", props); err != nil {
			return nil, err
		}
	}
	source := &tokenSource{
		endpoint: props["sasl.oauthbearer.token.endpoint.url"],
		id:       cmp.Or(props["sasl.oauthbearer.client.credentials.client.id"], login.Options["clientId"]),
		secret:   cmp.Or(props["sasl.oauthbearer.client.credentials.client.secret"], login.Options["clientSecret"]),
		scope:    cmp.Or(props["sasl.oauthbearer.scope"], login.Options["scope"]),
		escape:   strings.EqualFold(props["sasl.oauthbearer.header.urlencode"], "true"),
		now:      time.Now,
	}
	if err := source.check(); err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSHandshakeTimeout: tokenTimeout, DisableKeepAlives: true}
	var err error
	if transport.TLSClientConfig, err = LoadTLS(login.Options, false); err != nil {
		return nil, fmt.Errorf("sasl.jaas.config: %w", err)
	}
	source.client = &http.Client{Timeout: tokenTimeout, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the credentials are for the configured address only
	}}
	extensions := map[string]string{}
	for name, value := range login.Options {
		if key, ok := strings.CutPrefix(name, "extension_"); ok {
			extensions[key] = value
		}
	}
	return oauth.Oauth(func(ctx context.Context) (oauth.Auth, error) {
		token, err := source.token(ctx)
		return oauth.Auth{Token: token, Extensions: extensions}, err
	}), nil
}

// tokenSource caches one token for four fifths of its life, as Java refreshes it.
type tokenSource struct {
	endpoint, id, secret, scope string
	escape                      bool // of id and secret in the header
	client                      *http.Client
	now                         func() time.Time

	mu      sync.Mutex
	cached  string
	expires time.Time
}

func (s *tokenSource) check() error {
	u, err := url.Parse(s.endpoint)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("sasl.oauthbearer.token.endpoint.url is required for OAUTHBEARER, an http or https address" +
			" (tokens come by client credentials; other ways to get them are not supported)")
	}
	if s.id == "" || s.secret == "" {
		return errors.New("OAUTHBEARER needs clientId and clientSecret in sasl.jaas.config, or sasl.oauthbearer.client.credentials.*")
	}
	return nil
}

func (s *tokenSource) token(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cached != "" && s.now().Before(s.expires) {
		return s.cached, nil
	}
	token, life, err := s.fetch(ctx)
	if err != nil {
		return "", fmt.Errorf("no token from sasl.oauthbearer.token.endpoint.url: %w", err)
	}
	s.cached, s.expires = token, s.now().Add(life*4/5)
	return token, nil
}

func (s *tokenSource) fetch(ctx context.Context) (token string, life time.Duration, err error) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if s.scope != "" {
		form.Set("scope", s.scope)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return "", 0, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	id, secret := s.id, s.secret
	if s.escape {
		id, secret = url.QueryEscape(id), url.QueryEscape(secret)
	}
	req.SetBasicAuth(id, secret)
	resp, err := s.client.Do(req)
	if err != nil {
		return "", 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxTokenBytes))
	if err != nil {
		return "", 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return "", 0, errors.New("status " + strconv.Itoa(resp.StatusCode)) // the body may repeat the credentials
	}
	return parseToken(body)
}

func parseToken(body []byte) (token string, life time.Duration, err error) {
	var reply struct {
		AccessToken string  `json:"access_token"`
		ExpiresIn   float64 `json:"expires_in"`
	}
	if err := json.Unmarshal(body, &reply); err != nil || reply.AccessToken == "" {
		return "", 0, errors.New("the reply is not JSON with an access_token")
	}
	seconds := min(max(reply.ExpiresIn, 0), 24*3600)
	return reply.AccessToken, time.Duration(seconds * float64(time.Second)), nil
}
