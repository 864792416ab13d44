# The name of the admin role is a superuser's to give, in every way to make a role.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";
use KwjTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = new_node('admin_role', '');
sub sql { return $node->safe_psql('postgres', $_[0]); }

$node->wait_for_log(qr/kwjobs launcher LOG:  role "admin", which kwjobs\.admin_role names, does not exist\n.*DETAIL:  Only superusers see and control everybody's jobs\.\n.*HINT:  To have others do so, type CREATE ROLE admin and GRANT admin TO them\./);
note('a name without a role is said in the log');

sql('CREATE ROLE cr LOGIN CREATEROLE; CREATE DATABASE elsewhere');
is(result_as($node, 'cr', 'CREATE ROLE harmless'), '', 'a role with CREATEROLE creates roles');
my @ways = ('CREATE ROLE admin', 'CREATE USER admin', 'CREATE GROUP admin', 'CREATE ROLE admin NOLOGIN ROLE cr', 'ALTER ROLE harmless RENAME TO admin',
	'ALTER USER harmless RENAME TO admin', 'ALTER GROUP harmless RENAME TO admin', q{DO $$ BEGIN EXECUTE 'CREATE ROLE admin'; END $$},
	'BEGIN; CREATE ROLE harmless2; ALTER ROLE harmless2 RENAME TO admin; COMMIT');
is(result_as($node, 'cr', $_), '42501', $_) for @ways;
is(result_as($node, 'cr', $_, 'elsewhere'), '42501', "$_ in a database without the extension") for @ways[0, 4];
my ($rc, $out, $err) = $node->psql('postgres', 'CREATE ROLE admin', extra_params => [ '-U', 'cr' ]);
like($err, qr/ERROR:  only a superuser may give a role the name "admin"\nDETAIL:  The setting kwjobs\.admin_role names it: its members see and control everybody's jobs\.\nHINT:  Choose another name, or have a superuser run CREATE ROLE admin\./, '... says why');
is(sql("SELECT count(*) FROM pg_roles WHERE rolname IN ('admin', 'harmless2')"), '0', '... and nothing has changed');
is(result_as($node, 'cr', 'CREATE ROLE "Admin"; ALTER ROLE harmless RENAME TO admins; ALTER ROLE admins LOGIN; ALTER ROLE admins RENAME TO harmless'), '', 'other names are free');

# Whatever the setting is in this session, in others', and in the server.
sql(q{ALTER DATABASE elsewhere SET kwjobs.admin_role = operators; ALTER ROLE harmless IN DATABASE postgres SET kwjobs.admin_role = 'It''s me'});
is(result_as($node, 'cr', $_), '42501', $_) for 'CREATE ROLE operators', q{CREATE ROLE "It's me"}, 'CREATE ROLE admin';
is(result_as($node, 'cr', $_, 'elsewhere'), '42501', "$_, where the setting is another one") for 'CREATE ROLE operators', 'CREATE ROLE admin';
my $log = -s $node->logfile;
sql('ALTER SYSTEM SET kwjobs.admin_role = ops; SELECT pg_reload_conf()');
$node->wait_for_log(qr/role "ops", which kwjobs\.admin_role names, does not exist/, $log);
is(result_as($node, 'cr', 'CREATE ROLE ops', 'elsewhere'), '42501', 'CREATE ROLE ops, after a reload, where the setting is another one');
is(result_as($node, 'cr', 'CREATE ROLE admin; DROP ROLE admin'), '', '... and the old name is free');
is(sql('SET kwjobs.admin_role = special; SET ROLE cr; SELECT 1'), '1', 'a superuser sets it for a session');
($rc, $out, $err) = $node->psql('postgres', 'SET kwjobs.admin_role = special; SET ROLE cr; CREATE ROLE special');
like($err, qr/only a superuser/, '... which counts, too');

# A superuser may, also in a function of its own.
sql('CREATE ROLE ops; ALTER ROLE ops RENAME TO ops2; ALTER ROLE ops2 RENAME TO ops');
sql(q{CREATE FUNCTION make() RETURNS void SECURITY DEFINER LANGUAGE plpgsql AS 'BEGIN CREATE ROLE operators; END'});
is(result_as($node, 'cr', 'SELECT make()'), '', 'a superuser may, also by a function of its own');
# that it has the name is no reason to refuse what is no renaming
$node->safe_psql('postgres', 'GRANT ops TO cr WITH ADMIN OPTION');
is(result_as($node, 'cr', 'ALTER ROLE ops NOINHERIT'), '', 'such a role can be altered by who may');

# CREATE EXTENSION says who gets the power.
sql('CREATE DATABASE noticed; CREATE ROLE "a Member" IN ROLE harmless; CREATE ROLE another IN ROLE harmless; CREATE EXTENSION IF NOT EXISTS kwjobs');
($rc, $out, $err) = $node->psql('noticed', 'SET kwjobs.admin_role = harmless; CREATE EXTENSION kwjobs');
like($err, qr/NOTICE:  members of role "harmless" see and control everybody's jobs\nDETAIL:  Its members are ("cr", )?("a Member", "another"|"another", "a Member")\.\nHINT:  If the role is meant for something else, set kwjobs\.admin_role to another name\./,
	'CREATE EXTENSION says who gets the power');
($rc, $out, $err) = $node->psql('noticed', 'DROP EXTENSION kwjobs; SET kwjobs.admin_role = "a Member"; CREATE EXTENSION kwjobs');
like($err, qr/DETAIL:  It has no members\./, '... or that nobody does');
($rc, $out, $err) = $node->psql('noticed', 'DROP EXTENSION kwjobs; SET kwjobs.admin_role = nobody; CREATE EXTENSION kwjobs');
unlike($err, qr/members/, '... and nothing without such a role');

$node->stop;
done_testing();
