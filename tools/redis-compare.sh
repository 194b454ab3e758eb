#!/usr/bin/env bash
# Gives the same commands to the example udp_kv, three replicas of it, and to a redis-server, and
# compares what redis-cli shows of the replies. Prints what differs; exits with 1 if anything does.
# Needs redis-server and redis-cli of version 7.0 (Debian: redis-server, redis-tools), and builds the
# example.
#
#     tools/redis-compare.sh [FIRST_PORT]
set -euo pipefail
cd "$(dirname "$0")/.."
first=${1:-16400}
scratch=$(mktemp -d)
processes=()
finish() {
    kill "${processes[@]}" 2>/dev/null || true
    wait
    rm -rf "$scratch"
}
trap finish EXIT
# A server may close before it has read everything.
trap '' PIPE

cargo build --locked --quiet --release --example udp_kv
program=${CARGO_TARGET_DIR:-target}/release/examples/udp_kv

redis=$first
redis-server --port "$redis" --save '' --appendonly no --bind 127.0.0.1 \
    --dir "$scratch" >"$scratch/redis.log" &
processes+=($!)
for id in 1 2 3; do
    peers=()
    for peer in 1 2 3; do
        [ "$peer" = "$id" ] || peers+=(--peer "$peer=127.0.0.1:$((first + peer))")
    done
    "$program" --id "$id" --listen "127.0.0.1:$((first + id))" "${peers[@]}" \
        --data "$scratch/$id" --client "127.0.0.1:$((first + 10 + id))" 2>"$scratch/$id.log" &
    processes+=($!)
done

wait_for() {
    for _ in $(seq 100); do
        [ "$(redis-cli -p "$1" set ready 1 2>&1)" = OK ] && return
        sleep 0.1
    done
    echo "no reply at port $1" >&2
    return 1
}
for port in "$redis" $((first + 11)) $((first + 12)) $((first + 13)); do wait_for "$port"; done

# What is the same in both, command by command. No two may depend on the order of a hash table.
cat >"$scratch/commands" <<'COMMANDS'
FLUSHALL
PING
ping hello
PING "two words" x
ECHO hello
ECHO
ECHO a b
DBSIZE
DBSIZE x
GET missing
GET
GET a b
SET a 1
SET a
SET a 1 NX
SET a 2 XX
SET missing 2 XX
SET a 3 GET
SET b 3 GET
SET b 4 NX GET
SET a 4 KEEPTTL
SET a 1 NX XX
SET a 1 NONSENSE
SET "" empty
GET ""
SET empty ""
GET empty
STRLEN empty
SETNX a 5
SETNX new 5
SETNX new
GETSET a 6
GETSET fresh 7
GETSET a
GET a
STRLEN a
STRLEN missing
STRLEN
APPEND a bc
APPEND more bc
APPEND more
GET a
INCR a
SET n 10
INCR n
DECR n
INCR n x
INCR
INCRBY n 5
INCRBY n -7
INCRBY n +1
INCRBY n 1.5
INCRBY n ""
INCRBY n 01
INCRBY n -0
INCRBY n " 1"
INCRBY n 9223372036854775808
INCRBY n 99999999999999999999999999999999
INCRBY n
DECRBY n 4
DECRBY n -4
DECRBY n x
DECRBY n -9223372036854775808
DECRBY n
SET n 9223372036854775807
INCR n
INCRBY n 1
DECR n
SET n -9223372036854775808
DECR n
DECRBY n 1
INCR n
SET n 9223372036854775808
INCR n
SET n " 1"
INCR n
SET n 1x
INCR n
SET n ""
INCR n
SET n -5
INCRBY n 10
INCR counted
DECRBY down 3
MSET k1 v1 k2 v2 k1 v3
MSET k1
MSET k1 v1 k2
MSET
MGET k1 k2 missing k1
MGET
EXISTS k1
EXISTS k1 k1 k2 missing
EXISTS
DEL k1 k1 k2 missing
DEL missing
DEL
EXISTS k1
DBSIZE
SET binary "\x00\xff\r\n"
GET binary
STRLEN binary
SELECT 0
SELECT -1
SELECT 16
SELECT x
SELECT
NONSENSE
NONSENSE a b c
nonsense "a\r\nb" cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc d
COMMAND NONSENSE
CONFIG
CONFIG NONSENSE
CONFIG GET
CONFIG GET save
CONFIG GET nonsense
HELLO x
HELLO 4
HELLO 2 NONSENSE
INFO nonsense-section x y z
FLUSHALL NONSENSE
FLUSHALL SYNC x
FLUSHALL ASYNC
DBSIZE
FLUSHALL SYNC
GET a
COMMANDS

# The bytes as they come, for what redis-cli never sends. Each line is a connection of its own.
cat >"$scratch/raw" <<'RAW'
PING\r\n
\r\n\r\nPING\r\n
PING\n
SET "a b" 'c d'\r\nGET "a b"\r\n
SET x "\\x41\\n\\"q"\r\nGET x\r\n
SET x 'it\\'s'\r\nGET x\r\n
GET "open\r\nPING\r\n
GET "a"b\r\nPING\r\n
*0\r\n*-1\r\nPING\r\n
*1\r\n$4\r\nPING\r\n*2\r\n$4\r\nECHO\r\n$0\r\n\r\n
*x\r\nPING\r\n
*\r\nPING\r\n
*99999999999\r\nPING\r\n
*1\r\n:4\r\nPING\r\n
*1\r\nPING\r\n
*1\r\n$x\r\nPING\r\n
*1\r\n$-1\r\nPING\r\n
*1\r\n$99999999999\r\nPING\r\n
*2\r\n$3\r\nGET\r\n$1\r\n
PING\r\nSET y 1\r\nINCR y\r\nGET y\r\nINCR y\r\nMGET y y\r\nDEL y\r\nGET y\r\n
SET y 1\r\nGET y\r\n*1\r\n!\r\nGET y\r\n
PING\r\nQUIT\r\nPING\r\n
POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n
RAW

replies() {
    while IFS= read -r command; do
        printf '> %s\n' "$command"
        printf '%s\n' "$command" | redis-cli --no-raw -p "$1" || true
    done <"$scratch/commands"
    while IFS= read -r bytes; do
        printf '> %s\n' "$bytes"
        # What is sent first keeps the connection open for a moment, or the server sees its end.
        exec 3<>"/dev/tcp/127.0.0.1/$1"
        # shellcheck disable=SC2059
        printf "$bytes" 2>/dev/null >&3 || true
        timeout 0.5 cat <&3 || true
        exec 3<&- 3>&-
    done <"$scratch/raw"
}

replies "$redis" >"$scratch/expected" 2>&1
differing=0
for id in 1 2 3; do
    replies $((first + 10 + id)) >"$scratch/replica-$id" 2>&1
    if ! diff -U 1 --label redis --label "replica $id" "$scratch/expected" "$scratch/replica-$id"; then
        differing=1
    fi
done
count=$(cat "$scratch/commands" "$scratch/raw" | wc -l)
[ "$differing" = 1 ] || echo "$count commands: the same replies from redis and from each replica"
exit "$differing"
