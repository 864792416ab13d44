"""Job statements through psycopg2, which puts parameters into the text.

Usage: python.py FILE, a CSV file of 10 rows that the server can read. See run.
"""
import sys

import psycopg2
import psycopg2.extras


def check(good, name):
    print('%s psycopg2: %s' % ('ok     ' if good else 'FAILED ', name))


def rows(connection, statement, parameters=None):
    with connection.cursor(cursor_factory=psycopg2.extras.DictCursor) as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall()


def count(connection, statement, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.rowcount


def error_of(connection, statement, parameters=None):
    try:
        count(connection, statement, parameters)
    except psycopg2.Error as error:
        return error
    return None


def check_show(connection):
    with connection.cursor() as cursor:
        cursor.execute('SHOW JOBS')
        check(cursor.rowcount >= 3 and len(cursor.description) == 19 and
              cursor.description[0].name == 'job_id', 'SHOW JOBS')
    check(rows(connection, 'SHOW JOB %s', (1,))[0]['status'] == 'paused', 'SHOW JOB %s')
    check(rows(connection, 'SHOW JOB WHEN COMPLETE %s', (3,))[0]['status'] == 'canceled',
          'SHOW JOB WHEN COMPLETE %s')
    check(rows(connection, 'SELECT status FROM [SHOW JOBS] WHERE job_id = %s AND status <> %s',
               (2, 'paused')) == [['running']], '[SHOW JOBS]')
    check(len(rows(connection, 'SHOW JOBS WHERE job_id = ANY (%s)', ([1, 2],))) == 2,
          'SHOW JOBS WHERE')


def check_control(connection):
    check(count(connection, 'PAUSE JOB %s', (1,)) == 1, 'PAUSE JOB %s')
    check(count(connection, 'RESUME JOB %s WITH REASON = %s', (2, "that's why")) == 1,
          'RESUME JOB %s WITH REASON = %s')
    check(count(connection, 'CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = %s)', (3,)) == 1,
          'CANCEL JOBS')
    check(count(connection, 'CANCEL JOB %s', (None,)) == 0, 'CANCEL JOB of no job')


def check_import(connection, path):
    job = rows(connection, 'IMPORT INTO target CSV DATA (%s) WITH detached, skip = %s', (path, 4))[0]['job_id']
    check(isinstance(job, int), 'IMPORT ... WITH detached')
    check(rows(connection, 'SHOW JOB WHEN COMPLETE %s', (job,))[0]['status'] == 'succeeded',
          '... which succeeds')
    result = rows(connection, 'IMPORT INTO target CSV DATA (%s)', (path,))[0]
    check(result['status'] == 'succeeded' and result['rows'] == 10, 'IMPORT')


def check_errors(connection):
    error = error_of(connection, 'PAUSE JOBS 1, 2')
    check(error is not None and error.pgcode == '42601' and error.diag.statement_position == '12' and
          error.diag.message_hint.startswith('Type PAUSE JOBS'), 'a misspelt statement')
    error = error_of(connection, 'PAUSE JOB %s', (987654321,))
    check(error is not None and error.pgcode is not None, 'a job that is not there')


def check_transactions(connection):
    connection.autocommit = False
    check(count(connection, 'CANCEL JOB %s', (1,)) == 1, 'CANCEL JOB in a transaction')
    connection.rollback()
    check(rows(connection, 'SHOW JOB 1')[0]['status'] == 'paused', '... is rolled back')
    error = error_of(connection, 'IMPORT INTO target CSV DATA (%s)', ('x',))
    check(error is not None and error.pgcode == '25001', 'IMPORT that waits, in a transaction')
    connection.rollback()
    with connection.cursor('named') as cursor:
        cursor.execute('SHOW JOB %s', (1,))
        check(cursor.fetchone()[0] == 1, 'a cursor of the server')
    connection.rollback()


def main():
    connection = psycopg2.connect('')
    connection.autocommit = True
    check_show(connection)
    check_control(connection)
    check_import(connection, sys.argv[1])
    check_errors(connection)
    check_transactions(connection)
    connection.close()


main()
