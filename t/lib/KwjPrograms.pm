# t/lib/KwjPrograms.pm: what the tests of jobs that run programs with sessions (the private server,
# BACKUP, RESTORE) have in common.
package KwjPrograms;

use strict;
use warnings;

use Cwd qw(abs_path);
use Exporter 'import';
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_place entries databases programs wait_until_clean overwrite);

# Creates a directory in which jobs may make backups. Returns its path.
sub make_place
{
	my ($node) = @_;
	my $place = abs_path($node->basedir) . '/backups';
	mkdir $place or die "$place: $!";
	return $place;
}

# Returns the names of all that is in such a directory, in one line.
sub entries { return join(' ', map { m{([^/]+)$} } sort glob("$_[0]/*")); }

# Returns the names of the server's databases, without templates, in one line.
sub databases
{
	my ($node) = @_;
	return $node->safe_psql('postgres', "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate");
}

# Returns the processes that run in the data directory and have this in their command line.
sub programs
{
	my ($node, $pattern) = @_;
	my $data = abs_path($node->data_dir);
	my @pids;
	foreach my $file (glob('/proc/[0-9]*/cmdline'))
	{
		my ($pid) = $file =~ m{/(\d+)/};
		open(my $fh, '<', $file) or next;
		my $line = <$fh> // '';
		push @pids, $pid if $line =~ $pattern && (readlink("/proc/$pid/cwd") // '') eq $data;
	}
	return @pids;
}

# Tests that no session of a program is left, none of its processes, and no directory of sockets.
sub wait_until_clean
{
	my ($node, $name) = @_;
	my $data = $node->data_dir;
	wait_query($node, "SELECT count(*) = 0 FROM pg_stat_activity WHERE backend_type = 'kwjobs session'");
	return ok(comes_true(sub {
		my @directories = glob("$data/base/pgsql_tmp/pgsql_tmp*");
		return !programs($node, qr/pg_dump|psql|pg_restore/) && !@directories;
	}), $name);
}

# Writes a file anew.
sub overwrite
{
	my ($path, $text) = @_;
	open(my $fh, '>', $path) or die "$path: $!";
	binmode $fh;
	print $fh $text;
	close($fh) or die "$path: $!";
	return;
}

1;
