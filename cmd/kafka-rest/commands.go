package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"kafkarest/internal/app"
	"kafkarest/internal/config"
	"kafkarest/internal/kafka/embedded"

	"github.com/spf13/cobra"
)

// version is set by the build: -ldflags "-X main.version=…".
var version = "dev"

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	root := &cobra.Command{
		Use:           "kafka-rest",
		Short:         "The HTTP interface to Apache Kafka",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(serveCommand(errOut), devCommand(out, errOut), checkCommand(out), versionCommand(out))
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	return root.ExecuteContext(ctx)
}

// source are the flags that say where the configuration comes from.
type source struct {
	file string
	set  []string
}

func (s *source) flags(c *cobra.Command) {
	c.Flags().StringVar(&s.file, "config", "", "configuration `FILE`: kafka-rest.properties, or YAML with the same keys")
	c.Flags().StringArrayVar(&s.set, "set", nil, "`KEY=VALUE` that wins over the file and the environment; may be repeated")
}

func (s *source) load(require ...string) (*config.Config, error) {
	set := map[string]string{}
	for _, kv := range s.set {
		key, value, ok := strings.Cut(kv, "=")
		if !ok {
			return nil, fmt.Errorf("--set %q: it must be KEY=VALUE", kv)
		}
		set[key] = value
	}
	return config.Load(config.Source{File: s.file, Env: os.Environ(), Set: set, Require: require})
}

func serveCommand(errOut io.Writer) *cobra.Command {
	var src source
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serve a Kafka cluster over HTTP",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := src.load("bootstrap.servers")
			if err != nil {
				return err
			}
			return serve(c.Context(), app.Options{Config: cfg, LogTo: errOut}, nil)
		},
	}
	src.flags(c)
	return c
}

func devCommand(out, errOut io.Writer) *cobra.Command {
	var src source
	broker := embedded.Config{AutoCreate: true}
	c := &cobra.Command{
		Use:   "dev",
		Short: "Try it with nothing installed: the proxy and a broker in one process",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := src.load()
			if err != nil {
				return err
			}
			return serve(c.Context(), app.Options{Config: cfg, Embedded: &broker, Registry: true, LogTo: errOut}, out)
		},
	}
	src.flags(c)
	c.Flags().StringVar(&broker.DataDir, "data-dir", "", "`FOLDER` that keeps topics and records across restarts; without one they are gone at the end")
	return c
}

// serve runs the program until ctx ends. A banner with lines to try goes to tell, if it is there.
func serve(ctx context.Context, opts app.Options, tell io.Writer) error {
	a, err := app.New(opts)
	if err != nil {
		return err
	}
	if err := a.Start(); err != nil {
		return errors.Join(err, a.Stop(ctx))
	}
	if tell != nil {
		fmt.Fprint(tell, app.Banner(a.Addr()))
	}
	select {
	case <-ctx.Done():
		return a.Stop(context.Background())
	case err := <-a.Failed():
		return errors.Join(err, a.Stop(context.Background()))
	}
}

func checkCommand(out io.Writer) *cobra.Command {
	var src source
	c := &cobra.Command{
		Use:   "check",
		Short: "Check a configuration and print it, without secrets",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := src.load("bootstrap.servers")
			if err != nil {
				return err
			}
			warnings, err := app.Check(cfg)
			for _, w := range warnings {
				fmt.Fprintln(out, "# warning:", w)
			}
			for _, line := range cfg.Redacted() {
				fmt.Fprintln(out, line)
			}
			return err
		},
	}
	src.flags(c)
	return c
}

func versionCommand(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			client := "?"
			if info, ok := debug.ReadBuildInfo(); ok {
				for _, m := range info.Deps {
					if m.Path == "github.com/twmb/franz-go" {
						client = m.Version
					}
				}
			}
			fmt.Fprintf(out, "kafka-rest %s (%s, franz-go %s)\n", version, runtime.Version(), client)
			return nil
		},
	}
}
