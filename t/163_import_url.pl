# IMPORT from URLs, with nginx on loopback and with a server that does what a server should not do: all
# rows, each once, or a clear error; nothing is asked of places that are not allowed; nothing secret is shown.

use strict;
use warnings;

use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjCsv qw(write_file compress);
use KwjTest;
use KwjWeb;
use POSIX qw(mkfifo);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);

plan skip_all => 'nginx is not installed' unless find_nginx();

my $node = new_node('url', "fsync = off\nautovacuum = off\nlog_statement = none\n", extra => [ '--no-locale', '--encoding=UTF8' ]);
sub sql { return $node->safe_psql('postgres', $_[0]) }
sql('CREATE TABLE t (n integer, t text)');
configure($node, 'kwjobs.import_urls', 'http://localhost:1');
if (said($node, "SET statement_timeout = '1s'; SELECT kwjobs.import('t', ARRAY['http://localhost:1/'])") =~ /cannot read URLs/)
{
	$node->stop;
	plan skip_all => 'built without libcurl';
}
configure($node, 'kwjobs.import_urls', undef);

my $base = PostgreSQL::Test::Utils::tempdir();
chmod(0755, $base);
my ($port, $tls, $other) = map { PostgreSQL::Test::Cluster::get_free_port() } 1 .. 3;
my @certificate = make_certificate($base, 'localhost', 'DNS:localhost');
mkdir("$base/www");
mkdir("$base/www/$_") for qw(open open/sub secret);
my $rows = 100_000;
my $csv = slurp_file(write_csv($node, $rows));
sub publish { my ($name, $text) = @_; write_file("$base/www/$name.new", $text); rename("$base/www/$name.new", "$base/www/$name") or die; return }
publish('open/a.csv', $csv);
publish('open/a.csv.gz', compress('gzip', $csv, 3));
publish('open/empty.csv', '');
publish('open/sub/b.csv', "1,b\n");
publish('secret/s.csv', "1,s\n");

my $nginx = start_nginx($base, <<"EOF");
  root $base/www;
  server {
    listen 127.0.0.1:$port;
    listen 127.0.0.1:$tls ssl;
    ssl_certificate $certificate[0];
    ssl_certificate_key $certificate[1];
    location /open/slow/ { alias $base/www/open/; limit_rate 1m; }
    location /open/noranges/ { alias $base/www/open/; max_ranges 0; limit_rate 1m; }
    location /open/unknown/ { alias $base/www/open/; etag off; add_header Last-Modified ""; limit_rate 1m; }
    location = /open/moved.csv { return 301 /open/a.csv; }
    location = /open/out.csv { return 302 /secret/s.csv; }
    location = /open/away.csv { return 307 http://localhost:$other/open/a.csv; }
    location = /open/user.csv { return 302 http://user:password\@localhost:$port/open/a.csv; }
    location = /open/file.csv { return 302 file:///etc/passwd; }
    location = /open/loop.csv { return 302 /open/loop.csv; }
    location = /open/forbidden.csv { return 403; }
    location = /open/odd.csv { return 418; }
  }
EOF
my $http = "http://localhost:$port";
my $https = "https://localhost:$tls";

sub create_import
{
	my ($url, $options) = @_;
	sql('TRUNCATE t');
	return sql("SELECT kwjobs.import('t', ARRAY['$url'], NULL, '" . ($options // '{}') . "')");
}

sub ends_with
{
	my ($job, $expected, $name) = @_;
	wait_for_end($node, $job);
	like(job_field($node, $job, "concat_ws('|', status, CASE WHEN status = 'succeeded' THEN rows END, error_code, nullif(error, ''), nullif(error_detail, ''))"), $expected, $name);
	return;
}

sub is_all
{
	my ($name) = @_;
	is(sql('SELECT count(*), count(DISTINCT n), sum(n) FROM t'), "$rows|$rows|" . $rows * ($rows + 1) / 2, $name);
	return;
}

sub is_refused
{
	my ($url, $code, $name) = @_;
	is(result_as($node, 'postgres', "SELECT kwjobs.import('t', ARRAY['$url'])"), $code, $name // "$url is refused");
	return;
}

# ---- what is allowed ----

is_refused("$http/open/a.csv", '42501', 'by default, no URL is allowed');
is(scalar(requests_in($nginx, qr/./)), 0, '... and none is requested');
for my $wrong ('ftp://x/', 'http://', 'http:///x', 'https://user@host/', 'https://user:pw@host/', 'https://host/../x', 'https://host/x?y', 'https://host/x#y', '/data', 'https://ho st/', 'https://host:99999/', 'https://host:/', "https://host\\\\x", 'https://host/%2e%2e/')
{
	like(said($node, "ALTER SYSTEM SET kwjobs.import_urls = 'https://good.example, $wrong'"), qr/invalid value for parameter "kwjobs.import_urls"/, "setting: $wrong");
}
configure($node, 'kwjobs.import_urls', "$http/open, $https/open/, http://127.0.0.1:$port/open/sub/");
my $count = scalar(requests_in($nginx, qr/./));
is_refused(@$_) for (
	[ "$http/secret/s.csv", '42501' ],
	[ "$http/", '42501' ],
	[ $http, '42501' ],
	[ "$http/openly/a.csv", '42501' ],
	[ "$http/Open/a.csv", '42501' ],
	[ "$http//open/a.csv", '42501' ],
	[ "https://localhost:$port/open/a.csv", '42501' ],
	[ "http://localhost:$tls/open/a.csv", '42501' ],
	[ "http://localhost/open/a.csv", '42501' ],
	[ "http://localhost:${port}0/open/a.csv", '22023' ],
	[ "http://localhost.example:$port/open/a.csv", '42501' ],
	[ "http://localhost.:$port/open/a.csv", '42501' ],
	[ "http://xlocalhost:$port/open/a.csv", '42501' ],
	[ "http://127.0.0.1:$port/open/a.csv", '42501' ],
	[ "http://127.0.0.1:$port/open/sub", '42501' ],
	[ "http://127.1:$port/open/sub/b.csv", '42501' ],
	[ "http://2130706433:$port/open/sub/b.csv", '42501' ],
	[ "http://[::1]:$port/open/sub/b.csv", '42501' ],
	[ "http://localhost:$port\@localhost:$other/open/a.csv", '22023' ],
	[ "http://localhost:$port:x\@localhost:$other/open/a.csv", '22023' ],
	[ "http://localhost:$other#\@localhost:$port/open/a.csv", '22023' ],
	[ "http://localhost:$other\\\@localhost:$port/open/a.csv", '22023' ],
	[ "http://localhost:$other?\@localhost:$port/open/a.csv", '42501' ],
	[ "http://local\thost:$port/open/a.csv", '22023' ],
	[ "http://loc%61lhost:$port/open/a.csv", '22023' ],
	[ "http://lo\xc3\xb6calhost:$port/open/a.csv", '22023' ],
	[ "$http/open/../secret/s.csv", '22023' ],
	[ "$http/open/./a.csv", '22023' ],
	[ "$http/open/..", '22023' ],
	[ "$http/open/%2e%2e/secret/s.csv", '22023' ],
	[ "$http/open/%2E./secret/s.csv", '22023' ],
	[ "$http/open/..%2fsecret/s.csv", '22023' ],
	[ "$http/open/%252e%252e/secret/s.csv", '22023' ],
	[ "$http/open/..;x/secret/s.csv", '22023' ],
	[ "$http/open/..\\\\secret/s.csv", '22023' ],
	[ "$http/open/a.csv%00", '22023' ],
	[ "$http/open/a.csv%0d%0aX:y", '22023' ],
	[ "$http/open/a.csv#x", '22023' ],
	[ "$http/open/" . 'a' x 5000, '22023' ],
	[ 'http:localhost/open/a.csv', '42602' ],
	[ "ftp://localhost:$port/open/a.csv", '0A000' ]);
is(scalar(requests_in($nginx, qr/./)), $count, 'nothing of all this was requested');
sql('CREATE ROLE somebody LOGIN; GRANT INSERT ON t TO somebody');
is(result_as($node, 'somebody', "SELECT kwjobs.import('t', ARRAY['$http/open/a.csv'])"), '42501', 'a role that may not read files of the server');

# ---- all rows ----

ends_with(create_import("$http/open/a.csv"), qr/^succeeded\|$rows$/, 'http');
is_all('all rows');
ends_with(create_import("HTTP://LocalHost:$port/open/a.csv?x=%2e%2e/"), qr/^succeeded\|$rows$/, 'upper case, and a query');
ends_with(create_import("$http/open/a.csv.gz"), qr/^succeeded\|$rows$/, 'http, compressed');
is_all('all rows');
ends_with(create_import("$http/open/empty.csv"), qr/^succeeded\|0$/, 'an empty file');
ends_with(create_import("$http/open/moved.csv"), qr/^succeeded\|$rows$/, 'moved within what is allowed');
ends_with(create_import("http://127.0.0.1:$port/open/sub/b.csv"), qr/^succeeded\|1$/, 'by the address');
is(sql("SELECT array_agg(t) FROM t"), '{b}', '... that file');
my $two = sql("TRUNCATE t; SELECT kwjobs.import('t', ARRAY['$http/open/sub/b.csv', '$http/open/a.csv', '" . write_csv($node, 7) . "'], NULL, '{\"thread_concurrency\": 4}')");
ends_with($two, qr/^succeeded\|100008$/, 'two URLs and a file');

is_refused(@$_) for (
	[ "$http/open/out.csv", '42501', 'a redirect to where nothing is allowed' ],
	[ "$http/open/away.csv", '42501', 'a redirect to another port' ],
	[ "$http/open/user.csv", '22023', 'a redirect with a password' ],
	[ "$http/open/file.csv", '58030', 'a redirect to a file' ],
	[ "$http/open/loop.csv", '58030', 'a redirect to itself' ],
	[ "$http/open/nosuch.csv", '58P01', 'a file that does not exist' ],
	[ "$http/open/forbidden.csv", '42501', 'a file that is forbidden' ],
	[ "$http/open/odd.csv", '58030', 'another status' ]);
is(scalar(requests_in($nginx, qr/secret/)), 0, 'nothing secret was requested');
unlike(said($node, "SELECT kwjobs.import('t', ARRAY['$http/open/user.csv'])"), qr/password@/, 'the password of a redirect is not shown');

# ---- https ----

like(said($node, "SELECT kwjobs.import('t', ARRAY['$https/open/a.csv'])"), qr/^ERROR:  could not read "\Q$https\E\/open\/a\.csv": .*(certificate|trust anchors)/, 'https: a certificate that nobody knows');
sql("ALTER DATABASE postgres SET kwjobs.test_url_ca = '$certificate[0]'");
ends_with(create_import("$https/open/a.csv"), qr/^succeeded\|$rows$/, 'https');
is_all('all rows');
configure($node, 'kwjobs.import_urls', "$http/open, $https/open/, https://127.0.0.1:$tls");
like(said($node, "SELECT kwjobs.import('t', ARRAY['https://127.0.0.1:$tls/open/a.csv'])"), qr/^ERROR:  could not read .*(?:certificate|subject name|host name)/i, 'https: a certificate of another host');

# ---- secrets ----

{
	my $job = create_import("$http/open/a.csv?signature=hushhush");
	ends_with($job, qr/^succeeded\|$rows$/, 'a signed URL');
	is(logged_requests($nginx, qr/signature=hushhush/, 2), 2, '... is requested when the job is created, and when it runs');
	is(job_field($node, $job, 'description'), "IMPORT INTO public.t CSV DATA ('$http/open/a.csv?...')", '... and the description does not have the signature');
	publish('open/bad.csv', "1,x\ny,z\n");
	$job = create_import("$http/open/bad.csv?signature=hushhush", '{"skip": 1}');
	ends_with($job, qr/^failed\|22P02/, 'a bad record');
	is(job_field($node, $job, 'error_file, error_line'), "$http/open/bad.csv?...|2", '... and its place');
	sql('CREATE TABLE rejected (job_id bigint, file text, line bigint, column_name text, sqlstate text, reason text, record text)');
	my $rejects = "$base/rejected.csv";
	$job = create_import("$http/open/bad.csv?signature=hushhush", "{\"on_error\": \"skip\", \"reject_table\": \"rejected\", \"reject_file\": \"$rejects\"}");
	ends_with($job, qr/^succeeded\|1$/, 'a bad record that is left out');
	is(sql('SELECT file, line FROM rejected'), "$http/open/bad.csv?...|2", '... and its place in the reject table');
	like(slurp_file($rejects), qr{^$job,\Q$http/open/bad.csv?...\E,2,}m, '... and in the reject file');
	like(sql("SELECT messages FROM kwdb_internal.job_attempts WHERE job_id = $job"), qr{\Qbad.csv?...\E}, '... and in the messages');
	$job = create_import("$http/open/bad.csv?signature=hushhush");
	wait_for_end($node, $job);
	is(sql("SELECT count(*) FROM kwdb_internal.jobs AS j WHERE j::text LIKE '%hushhush%'"), '0', 'no column of jobs has it');
	is(sql("SELECT count(*) FROM kwdb_internal.job_attempts AS j WHERE j::text LIKE '%hushhush%'"), '0', '... nor of attempts');
	is(sql("SELECT count(*) FROM kwdb_internal.job_events AS j WHERE j::text LIKE '%hushhush%'"), '0', '... nor of events');
	unlike(said($node, "SELECT kwjobs.import('t', ARRAY['$http/open/nosuch.csv?signature=hushhush'])"), qr/hushhush/, 'nor an error');
	unlike(said($node, "SELECT kwjobs.import('t', ARRAY['$_'])"), qr/hushhush/, "nor the error of $_")
	  for "http://user:hushhush\@localhost/", "https://user:hush/hushhush\@localhost/", "ftp://user:hushhush\@localhost/", "http://localhost/x?hushhush#";
	unlike(slurp_file($node->logfile) =~ s/^.*STATEMENT:.*$//mgr, qr/hushhush/, 'nor the log, but for statements of users');
}

# ---- pauses, crashes ----

make_target($node, 'gated', $rows / 2);
sql("ALTER DATABASE postgres SET kwjobs.import_batch_size = '64kB'");
sub at_gate
{
	my ($url) = @_;
	sql('TRUNCATE gated');
	my $gate = close_gate($node);
	my $job = sql("SELECT kwjobs.import('gated', ARRAY['$url'], NULL, '{\"thread_concurrency\": 2}')");
	wait_at_gate($node, $job);
	return ($job, $gate);
}
sub paused
{
	my ($job, $gate) = at_gate(@_);
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	open_gate($gate);
	return $job;
}

for my $case ([ 'slow/a.csv', 'ranges', '206' ], [ 'noranges/a.csv', 'no ranges', '200' ], [ 'slow/a.csv.gz', 'compressed', '200' ])
{
	my ($path, $name, $status) = @$case;
	my $job = paused("$http/open/$path");
	my $before = scalar(requests_in($nginx, qr/$path HTTP.*" $status /));
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^succeeded\|$rows$/, "$name: goes on after a PAUSE");
	is_imported($node, 'gated', $rows, '... with each row once');
	cmp_ok(logged_requests($nginx, qr/$path HTTP.*" $status /, $before + 1), '>', $before, "... and the server has said $status");

	my $gate;
	($job, $gate) = at_gate("$http/open/$path");
	like(job_field($node, $job, 'running_status'), qr/rows\/s, 1 worker: URL$/, "$name: why there is one worker");
	kill_process($node, job_field($node, $job, 'pid'), $gate);
	ends_with($job, qr/^succeeded\|$rows$/, "$name: goes on after a crash");
	is_imported($node, 'gated', $rows, '... with each row once');
}

# Another file of the same size, and the same one with another time
for my $what ('content', 'time')
{
	my $job = paused("$http/open/slow/a.csv");
	publish('open/a.csv', $what eq 'content' ? $csv =~ s/row 99999/row 99998/r : $csv);
	utime(1, 1, "$base/www/open/a.csv") if $what eq 'time';
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^failed\|55000\|file "\Q$http\E\/open\/slow\/a\.csv" was changed/, "another $what");
	is(sql('SELECT count(*) FROM gated'), '0', '... and no row is left');
	publish('open/a.csv', $csv);
}
{
	my $job = paused("$http/open/unknown/a.csv");
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^failed\|55000\|file ".*" was changed while it was being imported\|Its identity, for which the server sends neither ETag nor Last-Modified/, 'a server that does not tell whether it is the same file');
	ends_with(create_import("$http/open/unknown/a.csv"), qr/^succeeded\|$rows$/, '... without a break, it is imported');
}
{
	my $job = paused("$http/open/slow/a.csv");
	configure($node, 'kwjobs.import_urls', "$http/other");
	sql("SELECT kwjobs.resume($job)");
	ends_with($job, qr/^failed\|42501\|IMPORT is not allowed from/, 'a URL that is not allowed any more');
	is(sql('SELECT count(*) FROM gated'), '0', '... and no row is left');
	configure($node, 'kwjobs.import_urls', "$http/open");
}

# The server is killed in the middle of the file, and comes back.
{
	my ($job, $gate) = at_gate("$http/open/slow/a.csv");
	kill_nginx($nginx);
	open_gate($gate);
	wait_query($node, "SELECT running_status LIKE 'waiting for a server: %' FROM kwdb_internal.jobs WHERE job_id = $job");
	start_nginx($nginx);
	ends_with($job, qr/^succeeded\|$rows$/, 'the server is killed, and comes back');
	is_imported($node, 'gated', $rows, '... each row once');
	is(attempt_statuses($node, $job), 'succeeded', '... in one attempt');
}

# ---- a server that does what it should not do ----

my $odd;
{
	my $etag = "ETag: \"1\"\r\n";
	my $from_here = sub {
		my ($socket, $from, $text, $head) = @_;
		my $size = length($text);
		print $socket $from ? "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes $from-" . ($size - 1) . "/$size\r\n" : "HTTP/1.1 200 OK\r\n";
		print $socket $head . 'Content-Length: ' . ($size - $from) . "\r\n\r\n";
		return substr($text, $from);
	};
	my $short_range = sub {
		my ($from) = @_;
		# up to the end of a record, so that no record seems to be cut off
		my $part = substr($csv, $from, 300_000) =~ s/[^\n]*\z//r;
		return "HTTP/1.1 206 Partial Content\r\n${etag}Content-Range: bytes $from-" . ($from + length($part) - 1) . '/' . length($csv) . "\r\nContent-Length: " . length($part) . "\r\n\r\n$part";
	};
	my %answers = (
		# breaks off after 100 kB each time
		'/breaks' => sub { my ($n, $from, $socket) = @_; print $socket substr($from_here->($socket, $from, $csv, $etag), 0, 100_000) },
		# ... at the same place
		'/cut' => sub { my ($n, $from, $socket) = @_; my $body = $from_here->($socket, $from, $csv, $etag); print $socket $from < 500_000 ? substr($body, 0, 500_000 - $from) : '' },
		'/cut_without_ranges' => sub { my ($n, $from, $socket) = @_; print $socket substr($from_here->($socket, 0, $csv, $etag), 0, 500_000) },
		# is silent after 100 kB, once: until the client gives up and closes the connection
		'/silent' => sub { my ($n, $from, $socket) = @_; my $body = $from_here->($socket, $from, $csv, $etag);
			if ($n > 2) { print $socket $body }
			else { print $socket substr($body, 0, $n == 1 ? length($body) : 100_000); wait_for_close($socket) } },
		# hang: send only a part, or nothing
		'/hangs' => sub { my ($n, $from, $socket) = @_; print $socket substr($from_here->($socket, $from, $csv, $etag), 0, 500_000); wait_for_close($socket) },
		'/nothing' => sub { my ($n, $from, $socket) = @_; wait_for_close($socket) },
		'/busy' => sub { my ($n, $from, $socket) = @_; if ($n % 3) { print $socket "HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n" } else { print $socket $from_here->($socket, $from, $csv, $etag) } },
		'/chunked' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\n${etag}Transfer-Encoding: chunked\r\n\r\n"; my $text = $csv;
			while (length($text)) { my $part = substr($text, 0, 5000, ''); print $socket sprintf("%x\r\n", length($part)) . "$part\r\n" } print $socket "0\r\n\r\n" },
		'/chunked_cut' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\n${etag}Transfer-Encoding: chunked\r\n\r\n7a120\r\n" . substr($csv, 0, 500_000) . "\r\n" },
		'/endless' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\n$etag\r\n$csv" },
		'/changing' => sub { my ($n, $from, $socket) = @_; print $socket substr($from_here->($socket, $from, $csv, "ETag: \"" . ($n > 2) . "\"\r\n"), 0, $n == 1 ? 10_000_000 : 600_000) },
		'/wrong_range' => sub { my ($n, $from, $socket) = @_; if ($from) { print $socket "HTTP/1.1 206 Partial Content\r\n${etag}Content-Range: bytes " . ($from + 1) . '-' . (length($csv) - 1) . '/' . length($csv) . "\r\nContent-Length: 5\r\n\r\n1,x\n2" } else { print $socket substr($from_here->($socket, 0, $csv, $etag), 0, 500_000) } },
		'/early_range' => sub { my ($n, $from, $socket) = @_; $from = 10 if $from; print $socket substr($from_here->($socket, $from, $csv, $etag), 0, $from ? 10_000_000 : 500_000) },
		# sends at most 300 kB of a range, or nothing that is new
		'/short_range' => sub { my ($n, $from, $socket) = @_; print $socket $from ? $short_range->($from) : substr($from_here->($socket, 0, $csv, $etag), 0, 500_000) },
		'/short_range_of_unknown_size' => sub { my ($n, $from, $socket) = @_; print $socket $from ? $short_range->($from) : "HTTP/1.1 200 OK\r\n${etag}Transfer-Encoding: chunked\r\n\r\n7a120\r\n" . substr($csv, 0, 500_000) . "\r\n" },
		'/old_range' => sub { my ($n, $from, $socket) = @_; print $socket $from ? "HTTP/1.1 206 Partial Content\r\n${etag}Content-Range: bytes 0-9/" . length($csv) . "\r\nContent-Length: 10\r\n\r\n" . substr($csv, 0, 10) : substr($from_here->($socket, 0, $csv, $etag), 0, 500_000) },
		'/no_head' => sub { my ($n, $from, $socket) = @_; print $socket "1,a\n2,b\n" },
		'/long_head' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\n"; print $socket 'X: ' . 'x' x 10000 . "\r\n" for 1 .. 1000 },
		'/negative' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n1,a\n" },
		'/too_much' => sub { my ($n, $from, $socket) = @_; print $socket "HTTP/1.1 200 OK\r\n${etag}Content-Length: 4\r\n\r\n1,a\n2,b\n" },
	);
	$odd = start_odd_server(sub {
		my ($n, $path, $from, $socket) = @_;
		my $answer = $answers{$path};
		return print $socket "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n" unless $answer;
		$answer->($n, $from, $socket);
	});
}
my $o = "http://localhost:$odd";
configure($node, 'kwjobs.import_urls', "$http/open, $o");
configure($node, 'kwjobs.test_haste', 10);
sql('ALTER DATABASE postgres SET kwjobs.test_url_silence = 2000');
my $once = '{"max_attempts": 1}';

for my $path (qw(breaks busy silent chunked early_range short_range short_range_of_unknown_size))
{
	ends_with(create_import("$o/$path"), qr/^succeeded\|$rows$/, "$path: all rows");
	is_all('... each once');
}
is(job_field($node, create_import("$o/too_much"), 'status IS NOT NULL'), 't', 'more than it has said ...');
ends_with(sql('SELECT max(job_id) FROM kwdb_internal.jobs'), qr/^succeeded\|1$/, '... is not read');

{
	my @jobs = map { [ $_, sql("CREATE TABLE to_$_ (n integer, t text); SELECT kwjobs.import('to_$_', ARRAY['$o/$_'], NULL, '$once')") ] } qw(cut cut_without_ranges chunked_cut changing wrong_range old_range);
	my %expected = (
		cut => '08006\|could not read',
		old_range => '08006\|could not read ".*": the server sends less than it was asked for',
		cut_without_ranges => '08006\|could not read',
		chunked_cut => '08006\|could not read',
		changing => '55000\|file ".*" was changed while it was being imported\|Its ETag or Last-Modified',
		wrong_range => '58030\|could not read ".*": the server says 206');
	for my $case (@jobs)
	{
		ends_with($case->[1], qr/^failed\|$expected{$case->[0]}/, "$case->[0]: an error");
		is(sql("SELECT count(*) FROM to_$case->[0]"), '0', '... and no row is left');
	}
}
is_refused("$o/endless", '08P01', 'a body whose end is not marked');
is_refused("$o/no_head", '58030', 'an answer without a head');
# Versions of libcurl differ in whether that is worth a retry.
like(result_as($node, 'postgres', "SELECT kwjobs.import('t', ARRAY['$o/long_head'])"), qr/^(?:58030|08006)$/, 'a head without an end');
is_refused("$o/negative", '58030', 'a negative length');

# A server that hangs: PAUSE and CANCEL take effect at once, and so does the cancel of a session.
sql('ALTER DATABASE postgres SET kwjobs.test_url_silence = 60000');
for my $verb ('pause', 'cancel')
{
	my $job = create_import("$o/hangs");
	wait_query($node, "SELECT wait_event_type = 'Extension' FROM pg_stat_activity JOIN kwdb_internal.jobs USING (pid) WHERE job_id = $job AND fraction_completed > 0.2");
	my $begin = time;
	sql("SELECT kwjobs.$verb($job)");
	wait_for_status($node, $job, $verb eq 'pause' ? 'paused' : 'canceled');
	cmp_ok(time - $begin, '<', 5, "$verb while the server hangs");
	sql("SELECT kwjobs.cancel($job)") if $verb eq 'pause';
	wait_for_end($node, $job);
	is(sql('SELECT count(*) FROM t'), '0', '... no row is left');
}
{
	my $begin = time;
	is(result_as($node, 'postgres', "SET statement_timeout = 500; SELECT kwjobs.import('t', ARRAY['$o/nothing'])"), '57014', 'a session that waits for a server is canceled');
	cmp_ok(time - $begin, '<', 10, '... at once');
	configure($node, 'kwjobs.import_urls', "$http/open, $o, http://localhost:$other");
	is(result_as($node, 'postgres', "SET statement_timeout = '60s'; SELECT kwjobs.import('t', ARRAY['http://localhost:$other/x'])"), '08006', 'a server that is not there');
}

# No name server answers: libcurl's thread hangs in the C library. Nobody waits for it.
{
	my $fifo = "$base/names";
	# Names get stuck, and there is nobody yet who waits for one.
	my $get_stuck = sub { unlink("$fifo.called"); return -p $fifo || mkfifo($fifo, 0600) || die "$fifo: $!" };
	my $is_stuck = sub { return wait_query($node, "SELECT (pg_stat_file('$fifo.called', true)).size IS NOT NULL") };

	ok(build_library($node, 'stuck_names', $base), 'the library is built');
	$node->stop;
	{
		local $ENV{LD_PRELOAD} = "$base/stuck_names.so";
		local $ENV{KWJ_STUCK_NAMES} = $fifo;
		$node->start;
	}
	my $named = "http://web.test:$odd";
	configure($node, 'kwjobs.import_urls', $named);
	my $job = create_import("$named/hangs");
	wait_query($node, "SELECT fraction_completed > 0.2 FROM kwdb_internal.jobs WHERE job_id = $job");
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	for my $verb ('pause', 'cancel')
	{
		$get_stuck->();
		sql("SELECT kwjobs.resume($job)");
		$is_stuck->();
		sql("SELECT kwjobs.$verb($job)");
		wait_for_status($node, $job, $verb eq 'pause' ? 'paused' : 'canceled');
		ok(!-e "$fifo.signal", "$verb while a name is looked up; the thread has no signals of PostgreSQL");
	}
	is(result_as($node, 'postgres', "SET statement_timeout = 500; SELECT kwjobs.import('t', ARRAY['$named/nothing'])"), '57014', '... and so is a session canceled');
	unlink($fifo);
	$job = create_import("$named/hangs");
	wait_query($node, "SELECT fraction_completed > 0.2 FROM kwdb_internal.jobs WHERE job_id = $job");
	sql("SELECT kwjobs.pause($job)");
	wait_for_status($node, $job, 'paused');
	$get_stuck->();
	sql("SELECT kwjobs.resume($job)");
	$is_stuck->();
	$node->stop;
	unlink($fifo);
	$node->start;
	sql("SELECT kwjobs.cancel($job)");
	ends_with($job, qr/^canceled/, '... and the server stops');
}

stop_nginx($nginx);
is_consistent($node);
$node->stop;
done_testing();
