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
# The caller runs set_up first and leaves the rest to the exit trap. Its head is
# what --help prints.

# What a build needs, beside PostgreSQL.
packages=(libunwind-dev zlib1g-dev liblz4-dev libzstd-dev libcurl4-openssl-dev pkg-config gcc libc6-dev make)
# PostgreSQL's extensions (as in postgresql-15-cron) that are wanted where the
# release has them.
extensions=()

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
runner=                         # the unprivileged user that runs everything
work=                           # the temporary directory
major=                          # the version of the release's PostgreSQL
has_new_lists=no                # apt-get update was run
bin=                            # the private installation's executables
pg_config=                      # its pg_config
keep=no                         # yes: the exit trap leaves it all as it is
drop_in=                        # a file in /etc while packages are installed
policy=                         # another one then, which keeps services from being started

say() { printf '== %s\n' "$*"; }
die() { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 1; }

# The head of the script that was started.
usage() { awk 'NR > 1 { if (!/^#/ || /shellcheck/) exit; sub(/^# ?/, ""); print }' "$0"; }

# The arguments are not what the head of the script says.
wrong_usage() {
    { printf '%s: %s\n\n' "${0##*/}" "$*"; usage; } >&2
    exit 2
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac

can_be_root() { [[ $EUID -eq 0 ]] || command -v sudo >/dev/null; }

# It may be called where exit would hide the message, and only returns.
as_root() {
    if [[ $EUID -eq 0 ]]; then
        "$@"
    elif can_be_root; then
        sudo "$@"
    else
        echo "needs root or sudo for: $*" >&2
        return 1
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

# Debian's PostgreSQL creates and starts a cluster when it is installed, and other packages start
# services, as nginx. Not here.
without_main_cluster() {
    local status=0
    drop_in=/etc/postgresql-common/createcluster.d/kwjobs-$$.conf
    as_root mkdir -p "${drop_in%/*}"
    echo 'create_main_cluster = false' | as_root tee "$drop_in" >/dev/null
    if [[ ! -e /usr/sbin/policy-rc.d ]]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    "$@" || status=$?
    remove_drop_in
    return "$status"
}

remove_drop_in() {
    as_root rm -f "$drop_in" ${policy:+"$policy"}
    policy=
    as_root rmdir --ignore-fail-on-non-empty "${drop_in%/*}"
    drop_in=
}

apt_get() {
    quietly as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -q -y -o DPkg::Lock::Timeout=600 "$@"
}

# The lists of the release's packages, as new as the network allows.
update_lists() {
    [[ $has_new_lists == no ]] || return 0
    has_new_lists=yes
    apt_get update || say "apt-get update failed, trying with the lists there are"
}

release_has() { apt-cache show "$1" >/dev/null 2>&1; }

# Install the packages that are missing; without any, the network is not needed.
install_packages() {
    local package missing=()
    command -v dpkg-query >/dev/null || return 0
    for package; do
        is_installed "$package" || missing+=("$package")
    done
    [[ ${#missing[@]} -gt 0 ]] || return 0
    can_be_root ||
        die "root or sudo is needed to install what is missing: apt-get install ${missing[*]}"
    say "installing ${missing[*]}"
    update_lists
    without_main_cluster apt_get install --no-install-recommends "${missing[@]}" ||
        die "cannot install ${missing[*]}"
}

# The PostgreSQL that is installed, or else the one that the package "postgresql" of
# this release stands for.
find_major() {
    local version another='PG_CONFIG=/path/to/pg_config takes another PostgreSQL'
    command -v dpkg-query >/dev/null || die "there are no Debian packages here: $another"
    for version in 18 17 16 15 14; do
        if is_installed "postgresql-$version"; then
            major=$version
            return
        fi
    done
    release_has postgresql || ! can_be_root || update_lists
    major=$(apt-cache depends postgresql 2>/dev/null |
        sed -nE 's/^ *Depends: postgresql-([0-9]+)$/\1/p' | head -n 1) || true
    [[ -n $major ]] || die "apt-cache knows no package postgresql: run apt-get update, or $another"
    [[ $major =~ ^1[4-8]$ ]] ||
        die "this release has PostgreSQL $major, and kwjobs is for 14 to 18: $another"
}

# The same, and what has to be installed for it.
choose_postgres() {
    local extension package
    find_major
    packages+=("postgresql-$major" "postgresql-server-dev-$major")
    for extension in "${extensions[@]}"; do
        package=postgresql-$major-$extension
        is_installed "$package" || release_has postgresql || ! can_be_root || update_lists
        if is_installed "$package" || release_has "$package"; then packages+=("$package"); fi
    done
}

make_work_dir() {
    work=$(mktemp -d "${TMPDIR:-/tmp}/kwjobs.XXXXXX")
    [[ ${#work} -lt 60 ]] || die "TMPDIR is too long for the path of a unix socket"
    runner=$(id -un)
    if [[ $EUID -eq 0 ]]; then
        runner=postgres
        id "$runner" >/dev/null 2>&1 ||
            die "there is no user $runner for root to run this as: run it as an ordinary user"
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
    local from=${PG_CONFIG:-/usr/lib/postgresql/$major/bin/pg_config} to=$work/postgres
    local bindir pkglibdir sharedir
    command -v "$from" >/dev/null || die "there is no $from: set PG_CONFIG=/path/to/pg_config"
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

# A copy of the sources, without what a build left there, that can be written even if
# they cannot.
copy_sources() {
    as_runner mkdir "$1"
    tar -C "$top" --exclude=./.git --exclude='*.o' --exclude='*.so' --exclude='*.bc' \
        --exclude=./tmp_check --exclude=./results --exclude=./output_iso --mode=u+rwX -cf - . |
        as_runner tar -C "$1" --no-same-owner -xf -
}

# make in the directory of sources $1, which copy_sources made.
make_in() {
    local dir=$1
    shift
    as_runner make -s -C "$dir" -j"$(nproc)" PG_CONFIG="$pg_config" with_llvm=no "$@"
}

# Create a cluster: name, then lines for postgresql.conf. Its databases have the encoding UTF8
# unless $encoding is another one.
create_cluster() {
    local dir=$work/$1
    shift
    as_runner mkdir "$dir"
    quietly as_runner "$bin/initdb" -D "$dir/data" --username=postgres --auth=trust \
        --no-locale --encoding="${encoding:-UTF8}" || die "initdb failed"
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

# Names of the tests that passed, and of those that failed, from the output of
# pg_regress (before and from version 16).
passed_in() {
    sed -nE -e 's/^(test)? +([^ ]+) +\.\.\. ok .*/\2/p' -e 's/^ok [0-9]+ +[-+] +([^ ]+) .*/\1/p' "$1"
}
failed_in() {
    sed -nE -e 's/^(test)? +([^ ]+) +\.\.\. (FAILED|failed).*/\2/p' \
        -e 's/^not ok [0-9]+ +[-+] +([^ ]+) .*/\1/p' "$1"
}

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
    [[ -z $drop_in ]] || remove_drop_in
    [[ -n $work && $keep == no ]] || return 0
    [[ -z $bin ]] || stop_clusters
    cd / && rm -rf "$work"
}

# Packages (those of the arguments and of $extensions too), temporary directory,
# private installation. Nothing of the caller's connection settings, start-up file or
# locale gets through.
set_up() {
    unset PGHOST PGHOSTADDR PGPORT PGUSER PGDATABASE PGPASSWORD PGOPTIONS PGDATA \
        PGSERVICE PGSERVICEFILE PGCLIENTENCODING PGAPPNAME PGSSLMODE PGTZ PGDATESTYLE
    export LANG=C.UTF-8 LC_ALL=C.UTF-8
    umask 022
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    [[ -n ${PG_CONFIG:-} ]] || choose_postgres
    install_packages "${packages[@]}" "$@"
    make_work_dir
    export HOME=$work TMPDIR=$work
    copy_postgres
}
