package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kafkarest/bench/suite"
)

// preface is what a reader of the table has to know. The table comes below it.
const preface = `# Benchmarks

Written by ` + "`make bench`" + `; do not edit the table by hand.

The *floor* is the least Go handler that could do the job: it parses the same body with the same JSON library, and produces or
consumes with the same Kafka client (acks=all, idempotent, no linger), and does nothing else: no limits, no logs, no validation beyond
the parse (` + "`bench/floor`" + `). The ratio column is the figure divided by the floor's; for processor time and memory smaller is better.

How to read it

- Generator, Kafka and every side share the machine's cores, so requests/s and times say what the machine gave; the processor time of
  the side's own process is the figure to compare. It is read from the kernel at the start and end of the timed section.
- Every side is driven in turn with the same bytes, the rounds interleaved; each figure is the median over the rounds.
- Every reply is checked (status 200, an offset for each record, no error code), and what landed in Kafka is counted from the end
  offsets: a difference is an ERROR row. A read must give every record once and skip none.
- Consuming is timed from the creation of the consumer (a group of its own) to the last record; a read asks for up to 1,000,000 bytes.
- The proxy runs with its default settings and writes its log to a file; the floor runs with the Go runtime's default settings.
- The floor of Avro is the library alone, twmb/avro: DecodeJSON and AppendEncode on produce, Decode and AppendEncodeJSON on consume. It has
  no Schema Registry; the proxy's runs in the process of the bench. The same records as plain JSON stand beside them.
- "RSS MB at most" is the peak within the timed section.
- A plain body and v2's envelope are posted in turn, in slices of the same round, with the same value and the same connections. What counts
  is the processor time of the one divided by that of the other, in the same process; the floor does both ways too.
- The floor of the NDJSON stream reads as much as comes at a time, sends each line as it is, and answers each with its outcome, in order.
  Outcomes are read while lines are sent; each line must have one, and the offsets of a partition must follow each other from 0. The growth
  of the memory is that of a process which was idle until then: its peak meanwhile less what was resident before.
- The floor has no event streams, no queues and no tasks. Every stream must get every record once, in the order of its partition. Of the
  workers' messages none may come twice, and in the end the group's commit must stand at the end of the topic.
- The tasks' broker is the embedded one, in the process of the bench: it refuses their records with NOT_ENOUGH_REPLICAS for a while, which one
  broker of Kafka 4 cannot be made to do (it wants no more replicas in sync than a topic has). Then each task must become ` + "`delivered`" + `,
  and the log must hold one record for each. All limits of the proxy have their defaults but ` + "`delivery.timeout.ms`" + `, which must not end the wait.
- "Fresh process" is one that was started for that round and nothing else. Of such loads there are two or three rounds.
- The long-polls wait 30 s on a topic in which nothing is. Each of the clients of the missing topic sends at most 20 requests a second.

`

// describe says what ran where: the lines between the preface and the table.
func describe(ctx context.Context, kafka, proxy string, o suite.Options) string {
	var b strings.Builder
	line := func(name, value string) { fmt.Fprintf(&b, "- %s: %s\n", name, value) }
	line("Date", time.Now().UTC().Format(time.DateOnly))
	line("Machine", machine())
	line("Kafka", kafka)
	line("Go", runtime.Version()+clientVersions())
	if proxy != "" {
		line("kafka-rest", firstLineOf(ctx, proxy, "version"))
	}
	line("Rounds", strconv.Itoa(o.Rounds))
	line("Command", "`"+command(o)+"`")
	return b.String()
}

func document(about, table string) string { return preface + about + "\n" + table }

func command(o suite.Options) string {
	text := fmt.Sprintf("go run ./bench/cmd/bench -rounds %d", o.Rounds)
	if o.Quick {
		text += " -quick"
	}
	if o.Only != nil {
		text += fmt.Sprintf(" -only '%s'", o.Only)
	}
	for _, p := range o.Peers {
		text += fmt.Sprintf(" (peer %s)", p.Name)
	}
	return text
}

func machine() string {
	text := fmt.Sprintf("%d × %s", runtime.NumCPU(), field("/proc/cpuinfo", "model name"))
	if memory := field("/proc/meminfo", "MemTotal"); memory != "" {
		text += ", " + memory
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		text += ", Linux " + unix.ByteSliceToString(name.Release[:])
	}
	return text + " " + runtime.GOARCH
}

// field is the value of the first line "name : value" of a file, or "".
func field(path, name string) string {
	text, _ := os.ReadFile(path) // "" then
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// clientVersions names the libraries that the sides share.
func clientVersions() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	text := ""
	for _, dep := range info.Deps {
		switch dep.Path {
		case "github.com/twmb/franz-go", "github.com/go-json-experiment/json", "github.com/twmb/avro":
			text += ", " + dep.Path + " " + dep.Version
		}
	}
	return text
}

func firstLineOf(ctx context.Context, path string, args ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).Output()
	if err != nil {
		return "unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
