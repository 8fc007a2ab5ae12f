#!/bin/sh
# A worker: receives messages, does the work, and acknowledges each by DELETE of its ack URL. Needs curl and jq.
# Usage: worker.sh http://localhost:8082 orders me ./work    (work gets the value on its standard input; it fails by its exit code)
# Any number of workers may run at once, on any machines: no two of them are given the same message at the same time.
set -u
proxy=$1 topic=$2 consumer=$3 work=$4
queue="$proxy/messages/$topic/$consumer"

# A message is held for 60 s. What is not acknowledged by then is given to somebody else.
receive() { curl -fsS "$queue?wait=20&limit=10&ack_timeout=60"; }

finish() { # ack-URL
  status=$(curl -sS -o /dev/null -w '%{http_code}' --retry 5 --retry-connrefused -X DELETE "$1")
  case $status in
    204) ;; # committed: it does not come again
    409) echo "took too long: another worker has it now" >&2 ;;
    *) echo "not acknowledged ($status): it comes again" >&2 ;;
  esac
}

fail() { # ack-URL: back to the queue, for another try in 5 s
  curl -sS -o /dev/null -X POST "$(echo "$1" | sed 's|?|/release?|')&delay=5"
}

while :; do
  messages=$(receive) || { sleep 1; continue; }
  echo "$messages" | jq -c '.messages[]' | while read -r message; do
    ack=$(echo "$message" | jq -r .ack)
    if echo "$message" | jq -r .value | "$work"; then finish "$ack"; else fail "$ack"; fi
  done
done
