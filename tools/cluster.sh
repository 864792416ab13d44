# shellcheck shell=bash
# tools/cluster.sh
#     A private PostgreSQL with kwjobs in it. Sourced by ./test, ./demo and
#     bench/run.
#
# Everything lives in one temporary directory and belongs to an unprivileged
# user: a copy of the PostgreSQL installation, so that kwjobs is installed
# without touching the system's; the build; the clusters, which listen on a unix
# socket only. PostgreSQL finds its files relative to its executable, so a copy
# in the same layout works.
#
# The caller runs set_up first and leaves the rest to the exit trap.

# What a build needs. PG_CONFIG chooses another PostgreSQL than Debian's.
packages=(libunwind-dev gcc libc6-dev make)
[[ -n ${PG_CONFIG:-} ]] || packages+=(postgresql-15 postgresql-server-dev-15)

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runner=                         # the unprivileged user that runs everything
work=                           # the temporary directory
bin=                            # the private installation's executables
pg_config=                      # its pg_config
keep=no                         # yes: the exit trap leaves it all as it is
drop_in=                        # a file in /etc while packages are installed

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "needs root or sudo for: $*"
    fi
}

as_runner() {
    if [[ $EUID -eq 0 ]]; then
        runuser -u "$runner" -- "$@"
    else
        "$@"
    fi
}

# Run quietly; show the end of the output only if the command fails.
quietly() {
    local log status=0
    log=$(mktemp)
    "$@" >"$log" 2>&1 </dev/null || status=$?
    [[ $status -eq 0 ]] || tail -n 80 "$log"
    rm -f "$log"
    return "$status"
}

is_installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

# Debian's postgresql-15 creates and starts a cluster when it is installed. Not
# here.
without_main_cluster() {
    local status=0
    drop_in=/etc/postgresql-common/createcluster.d/kwjobs-$$.conf
    as_root mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
    "$@" || status=$?
    as_root rm -f "$drop_in"
    drop_in=
    return "$status"
}

apt_get() {
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=600 "$@"
}

# Install the packages that are missing; without any, the network is not needed.
install_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || return 0
    for package; do
        is_installed "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    say "installing ${missing[*]}"
    apt_get update || say "apt-get update failed, trying with the lists there are"
    without_main_cluster apt_get install --no-install-recommends "${missing[@]}" ||
        die "cannot install ${missing[*]}"
}

make_work_dir() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/kwjobs.XXXXXX")
    [[ ${#work} -lt 60 ]] || die "TMPDIR is too long for the path of a unix socket"
    runner=$(id -un)
    if [[ $EUID -eq 0 ]]; then
        runner=postgres
        chown "$runner" "$work"
    fi
    cd "$work" || die "cannot enter $work"
}

# Link what directory $1 holds into the same place under $2.
link_into() {
    local entry
    mkdir -p "$2$1"
    for entry in "$1"/*; do
        [[ -e $2$entry ]] || ln -s "$entry" "$2$entry"
    done
}

# A private copy of the PostgreSQL installation, mostly links. Real are the
# executables, because PostgreSQL looks from where they really are, and the
# directories, because kwjobs is installed there.
copy_postgres() {
    local from=${PG_CONFIG:-/usr/lib/postgresql/15/bin/pg_config} to=$work/postgres
    local bindir pkglibdir sharedir
    command -v "$from" >/dev/null || die "no $from: install PostgreSQL 15 or set PG_CONFIG"
    bindir=$("$from" --bindir)
    pkglibdir=$("$from" --pkglibdir)
    sharedir=$("$from" --sharedir)
    mkdir -p "$to$bindir" "$to$pkglibdir" "$to$sharedir"
    cp -r "$bindir/." "$to$bindir"
    cp -rs "$pkglibdir/." "$to$pkglibdir"
    cp -rs "$sharedir/." "$to$sharedir"
    rm -f "$to$pkglibdir/kwjobs.so" "$to$sharedir"/extension/kwjobs[.-]*
    link_into "$("$from" --libdir)" "$to"
    link_into "$("$from" --includedir)" "$to"
    [[ $EUID -ne 0 ]] || chown -Rh "$runner" "$to"
    bin=$to$bindir
    pg_config=$bin/pg_config
    [[ $("$pg_config" --sharedir) == "$to$sharedir" ]] ||
        die "this PostgreSQL does not find its files relative to its executables"
}

# A copy of the sources, without what a build left there.
copy_sources() {
    as_runner mkdir "$1"
    tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' -cf - . |
        as_runner tar -C "$1" --no-same-owner -xf -
}

# make in the directory of sources $1, which copy_sources made.
make_in() {
    local dir=$1
    shift
    as_runner make -s -C "$dir" -j"$(nproc)" PG_CONFIG="$pg_config" with_llvm=no "$@"
}

# Create a cluster: name, then lines for postgresql.conf.
create_cluster() {
    local dir=$work/$1
    shift
    as_runner mkdir "$dir"
    quietly as_runner "$bin/initdb" -D "$dir/data" --username=postgres --auth=trust \
        --no-locale --encoding=UTF8 || die "initdb failed"
    printf '%s\n' "listen_addresses = ''" "unix_socket_directories = '$dir'" \
        "shared_preload_libraries = 'kwjobs'" 'max_worker_processes = 32' \
        "log_line_prefix = '%m [%p] %b %q%a '" "$@" |
        as_runner tee -a "$dir/data/postgresql.conf" >/dev/null
}

# The same, and start it. The PG* variables then point to it.
start_cluster() {
    local dir=$work/$1
    create_cluster "$@"
    export PGHOST=$dir PGPORT=5432 PGUSER=postgres PGDATABASE=postgres
    server_control start "${dir##*/}"
}

# start, stop or restart the cluster of that name
server_control() {
    local dir=$work/$2
    quietly as_runner "$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w "$1" ||
        die "the server did not $1: $(tail -n 30 "$dir/log")"
}

# One statement's result, as bare text.
query() { "$bin/psql" -XqAt -v ON_ERROR_STOP=1 -c "$@"; }

# A table of five columns, and a file for it with ids from $2 to $3.
# shellcheck disable=SC2034
readings='readings (id bigint, sensor text, at timestamptz, value numeric, note text)'
generate_readings() {
    query "COPY (SELECT n, 'sensor-' || n % 1000, timestamptz '2024-01-01 00:00:00+00' + n * interval '1 second',
                        round((n % 977)::numeric / 7, 3), 'note ' || md5(n::text)
                   FROM generate_series($2::bigint, $3) AS n) TO '$work/$1' (FORMAT csv)"
}

stop_clusters() {
    local pid_file
    while IFS= read -r pid_file; do
        quietly as_runner "$bin/pg_ctl" -D "${pid_file%/*}" -m immediate stop || true
    done < <(find "$work" -name postmaster.pid)
}

clean_up() {
    [[ -z $drop_in ]] || as_root rm -f "$drop_in"
    [[ -n $work && $keep == no ]] || return 0
    [[ -z $bin ]] || stop_clusters
    cd / && rm -rf "$work"
}

# Packages (those of the arguments too), temporary directory, private
# installation. Nothing of the caller's connection settings, start-up file or
# locale gets through.
set_up() {
    unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGOPTIONS PGDATA \
        PGSERVICE PGSERVICEFILE PGCLIENTENCODING PGAPPNAME PGSSLMODE PGTZ PGDATESTYLE
    export LANG=C.UTF-8 LC_ALL=C.UTF-8
    umask 022
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    install_packages "${packages[@]}" "$@"
    make_work_dir
    export HOME=$work TMPDIR=$work
    copy_postgres
}
