# The self-test of job statements: it comes before the server accepts connections, in a process
# of its own. One that hangs, crashes or does not start costs the server nothing but these statements.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use Config;
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'needs a C compiler' if system('cc --version >/dev/null 2>&1') != 0;
plan skip_all => 'needs Linux on x86_64 or aarch64' unless $^O eq 'linux' && $Config{archname} =~ /^(x86_64|aarch64)/;

my $node = new_node('self_test');
my $dir = $node->basedir;
my ($processor) = $Config{archname} =~ /^(x86_64|aarch64)/;

# Loaded into the server. What it is to do stands in a file: "hang" and "crash" in the unwinder of processes
# other than the postmaster, "no process" for the first one that the postmaster asks for.
append_to_file("$dir/misbehave.c", <<"EOF");
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pid_t started;
static int forks;
static char what[20];

__attribute__((constructor)) static void
initialize(void)
{
	FILE	   *file;

	started = getpid();
	/* pg_ctl has it, too */
	if (strcmp(program_invocation_short_name, "postgres") != 0)
		return;
	file = fopen("$dir/misbehave", "r");
	if (file == NULL || fgets(what, sizeof(what), file) == NULL)
		what[0] = '\\0';
	if (file != NULL)
		fclose(file);
}

int
_UL${processor}_step(void *cursor)
{
	int			(*real) (void *) = (int (*) (void *)) dlsym(RTLD_NEXT, "_UL${processor}_step");

	while (getpid() != started && strcmp(what, "hang") == 0)
		pause();
	if (getpid() != started && strcmp(what, "crash") == 0)
		raise(SIGSEGV);
	return real(cursor);
}

pid_t
fork(void)
{
	pid_t		(*real) (void) = (pid_t (*) (void)) dlsym(RTLD_NEXT, "fork");

	if (getpid() == started && forks++ == 0 && strcmp(what, "no process") == 0)
	{
		errno = EAGAIN;
		return -1;
	}
	return real();
}
EOF
is(system("cc -shared -fPIC -o $dir/misbehave.so $dir/misbehave.c -ldl"), 0, 'the library builds');

sub restart_with
{
	my ($what) = @_;
	unlink("$dir/misbehave");
	append_to_file("$dir/misbehave", $what) if defined $what;
	my $log = -s $node->logfile;
	{
		local $ENV{LD_PRELOAD} = "$dir/misbehave.so";
		$node->restart;
	}
	unlink("$dir/misbehave");
	return slurp_file($node->logfile, $log);
}

# With a self-test that passes, a statement that needs the unwinder works at once, also after a crash.
unlike(restart_with(), qr/job statements are off/, 'the self-test passes');
is($node->safe_psql('postgres', 'SELECT count(*) >= 0 FROM [SHOW JOBS]'), 't', 'job statements work as soon as the server does');

for my $case ([ 'hang', 'the self-test did not end within 10 s' ], [ 'crash', 'the self-test crashed' ],
	[ 'no process', 'the self-test could not get a process: Resource temporarily unavailable' ])
{
	my ($what, $why) = @$case;
	my $log = restart_with($what);
	like($log, qr/LOG:  kwjobs: job statements are off: $why\n.*HINT:  Use the functions of schema kwjobs instead\./, "$what: the log says it");
	like($log, qr/job statements are off.*database system is ready to accept connections/s, '... before anybody can connect');
	unlike($log, qr/terminated by signal|reinitializing/, '... and the server goes on');
	is($node->safe_psql('postgres', "CALL kwjobs.run('SELECT 1')") =~ /succeeded/ ? 1 : 0, 1, '... and jobs');
	is($node->safe_psql('postgres', 'SELECT count(*) >= 1 FROM kwjobs.show()'), 't', '... and so do the functions');

	# also when the server has been restarted by itself
	$node->safe_psql('postgres', 'SELECT 1');
	for my $round (1, 2)
	{
		for my $statement ('PAUSE JOB 1', 'SHOW JOB 1', 'SELECT * FROM [SHOW JOBS]', "IMPORT INTO t CSV DATA ('x')")
		{
			my ($rc, $out, $err) = $node->psql('postgres', $statement);
			like($err, qr/ERROR:  syntax error at or near .*HINT:  Job statements are off: $why\. Use the functions of schema kwjobs instead\./s,
				"... and a statement says it ($round): $statement");
		}
		my ($rc, $out, $err) = $node->psql('postgres', 'SELEC 1');
		unlike($err, qr/HINT/, '... but no other one');
		next if $round == 2;
		my $pid = $node->safe_psql('postgres', q(SELECT pid FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher'));
		kill 'KILL', $pid;
		wait_query($node, "SELECT count(*) = 1 FROM pg_stat_activity WHERE backend_type = 'kwjobs launcher' AND pid <> $pid");
	}
	my $begin = time;
	$node->stop('fast');
	cmp_ok(time - $begin, '<', 60, '... and it stops when it is told to, with all its processes');
	start_when_possible($node);
}
is($node->safe_psql('postgres', 'SELECT count(*) > 0 FROM [SHOW JOBS]'), 't', 'without the fault they work again');

$node->stop;
done_testing();
