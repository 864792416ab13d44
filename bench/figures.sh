# shellcheck shell=bash
# bench/figures.sh
#     How the scripts in bench/ measure and compute. They source it after tools/cluster.sh.

# Prints the median of the numbers in the lines of its input.
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

# Prints the ratio of two numbers: A, B, how many digits after the point (3).
ratio() { awk -v a="$1" -v b="$2" -v digits="${3:-3}" 'BEGIN { printf "%." digits "f\n", a / b }'; }

# Prints how many seconds a command takes, whose output is dropped.
seconds() {
    local from=$EPOCHREALTIME
    "$@" >/dev/null
    awk -v from="$from" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.3f\n", to - from }'
}
