# t/lib/KwjWeb.pm: web servers for tests: nginx, and one that does what a server should not do.
package KwjWeb;

use strict;
use warnings;

use Exporter 'import';
use IO::Select;
use IO::Socket::INET;
use KwjTest;
use POSIX qw(:sys_wait_h _exit);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;

our @EXPORT = qw(find_nginx make_certificate start_nginx stop_nginx kill_nginx requests_in logged_requests start_odd_server wait_for_close);

my @pids;
END { my $status = $?; kill('KILL', @pids) if @pids; waitpid($_, 0) for @pids; $? = $status; }

sub find_nginx
{
	my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}), '/usr/sbin';
	return $nginx;
}

# Makes a certificate for this name of a host, signed by itself. Returns the names of the files: certificate, key.
sub make_certificate
{
	my ($dir, $name, $alternative) = @_;
	my @files = ("$dir/$name.crt", "$dir/$name.key");
	system_log('openssl', 'req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', "/CN=$name", '-addext', "subjectAltName=$alternative",
		'-keyout', $files[1], '-out', $files[0]) == 0 or die 'openssl';
	return @files;
}

# Starts nginx with this text inside of http { }. Returns it; stop_nginx and kill_nginx end it, and
# start_nginx with it instead of a directory starts it again.
sub start_nginx
{
	my ($server, $http) = @_;
	if (!ref $server)
	{
		my $dir = $server;
		$server = { dir => $dir };
		mkdir("$dir/$_") for qw(logs tmp);
		open(my $conf, '>', "$dir/nginx.conf") or die "$dir: $!";
		print $conf <<"EOF";
daemon off;
worker_processes 1;
pid $dir/nginx.pid;
error_log $dir/logs/error.log;
events { worker_connections 64; }
http {
  access_log $dir/logs/access.log;
  client_body_temp_path $dir/tmp; proxy_temp_path $dir/tmp; fastcgi_temp_path $dir/tmp; uwsgi_temp_path $dir/tmp; scgi_temp_path $dir/tmp;
$http
}
EOF
		close($conf);
	}
	my $dir = $server->{dir};
	unlink("$dir/nginx.pid");
	my $pid = fork() // die "fork: $!";
	if ($pid == 0)
	{
		setpgrp(0, 0);
		open(STDOUT, '>>', "$dir/logs/out");
		open(STDERR, '>&', \*STDOUT);
		exec(find_nginx(), '-p', $dir, '-c', "$dir/nginx.conf", '-e', "$dir/logs/error.log") or _exit(1);
	}
	push(@pids, -$pid);
	$server->{pid} = $pid;
	for (1 .. 10 * $PostgreSQL::Test::Utils::timeout_default)
	{
		return $server if -s "$dir/nginx.pid";
		die "nginx: " . slurp_file("$dir/logs/error.log") if waitpid($pid, WNOHANG) != 0;
		select(undef, undef, undef, 0.1);
	}
	die 'nginx does not start';
}

sub end_nginx
{
	my ($server, $signal) = @_;
	kill($signal, $signal eq 'KILL' ? -$server->{pid} : $server->{pid});
	waitpid($server->{pid}, 0);
	@pids = grep { $_ != -$server->{pid} } @pids;
	return;
}
sub stop_nginx { end_nginx($_[0], 'QUIT'); return }
sub kill_nginx { end_nginx($_[0], 'KILL'); return }

# Returns the lines of the access log that match.
sub requests_in
{
	my ($server, $pattern) = @_;
	return grep { /$pattern/ } split(/\n/, -e "$server->{dir}/logs/access.log" ? slurp_file("$server->{dir}/logs/access.log") : '');
}

# Waits until nginx has logged this number of requests that match, and returns how many it has logged. It logs a
# request when it is done with it, and the client may have the whole answer before that.
sub logged_requests
{
	my ($server, $pattern, $n) = @_;
	comes_true(sub { scalar(requests_in($server, $pattern)) >= $n });
	return scalar(requests_in($server, $pattern));
}

# For a server that hangs: sends what was printed, and then nothing until the client closes the connection.
sub wait_for_close
{
	my ($socket) = @_;
	$socket->flush;
	1 while sysread($socket, my $rest, 8192);
	return;
}

# Starts a server that answers as a function says: it gets the number of the request for this path,
# from 1, the path, the first byte that is wanted, and the socket, to which it writes the whole answer.
# Returns the port.
sub start_odd_server
{
	my ($answer) = @_;
	my $listener = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 16, ReuseAddr => 1) or die "listen: $!";
	my $port = $listener->sockport;
	my $pid = fork() // die "fork: $!";
	if ($pid)
	{
		push(@pids, -$pid);
		return $port;
	}
	setpgrp(0, 0);
	local $SIG{CHLD} = 'IGNORE';
	local $SIG{PIPE} = 'IGNORE';
	my %seen;
	while (1)
	{
		my $socket = $listener->accept or next;
		my $request = '';
		while ($request !~ /\r\n\r\n/)
		{
			sysread($socket, $request, 8192, length($request)) or last;
		}
		my ($path) = $request =~ /^GET (\S+)/ or next;
		my ($from) = $request =~ /^Range: bytes=(\d+)-/mi;
		my $number = ++$seen{$path};
		next if fork();
		$answer->($number, $path, $from // 0, $socket);
		close($socket);
		_exit(0);
	}
}

1;
