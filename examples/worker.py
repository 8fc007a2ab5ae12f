#!/usr/bin/env python3
"""A worker: receives messages, does the work, and acknowledges each by DELETE of its ack URL. Needs Python's standard library only.
Usage: worker.py http://localhost:8082 orders me. Any number of workers may run at once: no two are given the same message at the same time."""
import json, sys, time, urllib.request


def call(method, url):
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as reply:
        return reply.read()


def work(value):
    print(json.dumps(value), flush=True)  # an exception here gives the message back to the queue


def handle(message):
    try:
        work(message["value"])
        call("DELETE", message["ack"])  # once this returns the message does not come again
    except OSError as error:  # the proxy is away, or (409) the work took too long and another worker has the message
        print("not acknowledged:", error, file=sys.stderr)
    except Exception as error:
        print("failed, again in 5 s:", error, file=sys.stderr)
        call("POST", message["ack"].replace("?", "/release?") + "&delay=5")


proxy, topic, consumer = sys.argv[1:4]
while True:
    try:
        for message in json.loads(call("GET", f"{proxy}/messages/{topic}/{consumer}?wait=20&limit=10&ack_timeout=60"))["messages"]:
            handle(message)
    except OSError as error:
        print("again:", error, file=sys.stderr)
        time.sleep(1)
