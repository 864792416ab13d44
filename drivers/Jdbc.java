// Job statements through PostgreSQL's JDBC driver: over the simple and the
// extended protocol, and prepared on the server.
//
// Usage: java -cp DRIVER Jdbc.java URL FILE, a CSV file of 10 rows that the server
// can read. See run.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class Jdbc {
    private final Connection connection;
    private final String mode;
    private final String file;

    Jdbc(Connection connection, String mode, String file) {
        this.connection = connection;
        this.mode = mode;
        this.file = file;
    }

    private void check(boolean good, String name) {
        System.out.printf("%s JDBC, %s: %s%n", good ? "ok     " : "FAILED ", mode, name);
    }

    private PreparedStatement prepare(String text, Object... parameters) throws SQLException {
        PreparedStatement statement = connection.prepareStatement(text);
        for (int i = 0; i < parameters.length; i++) {
            statement.setObject(i + 1, parameters[i]);
        }
        return statement;
    }

    // One column of the only row, of the third execution.
    private String value(String column, String text, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(text, parameters)) {
            String found = null;
            for (int i = 0; i < 3; i++) {
                try (ResultSet rows = statement.executeQuery()) {
                    found = rows.next() ? rows.getString(column) : null;
                    if (rows.next()) {
                        return "more than one row";
                    }
                }
            }
            return found;
        }
    }

    private int count(String text, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(text, parameters)) {
            statement.executeUpdate();
            return statement.executeUpdate();
        }
    }

    private ServerErrorMessage errorOf(String text, Object... parameters) throws SQLException {
        try (PreparedStatement statement = prepare(text, parameters)) {
            statement.execute();
        } catch (PSQLException error) {
            return error.getServerErrorMessage();
        }
        return null;
    }

    private void checkShow() throws SQLException {
        try (Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SHOW JOBS")) {
            int count = 0;
            while (rows.next()) {
                count++;
            }
            check(count >= 3 && rows.getMetaData().getColumnCount() == 19
                    && rows.getMetaData().getColumnType(1) == java.sql.Types.BIGINT, "SHOW JOBS");
        }
        check("paused".equals(value("status", "SHOW JOB ?", 1L)), "SHOW JOB ?");
        check("paused".equals(value("status", "SHOW JOB ?", 1)), "SHOW JOB ? of an int");
        check("canceled".equals(value("status", "SHOW JOB WHEN COMPLETE ?", 3L)), "SHOW JOB WHEN COMPLETE ?");
        check("canceled".equals(value("status", "SHOW JOB ? WHEN COMPLETE", 3L)), "SHOW JOB ? WHEN COMPLETE");
        check("running".equals(value("status",
                "SELECT status FROM [SHOW JOBS] WHERE job_id = ? AND status <> ?", 2L, "paused")), "[SHOW JOBS]");
    }

    private void checkMetadata() throws SQLException {
        try (PreparedStatement statement = prepare("SHOW JOB ?")) {
            check(statement.getMetaData().getColumnCount() == 19
                    && statement.getParameterMetaData().getParameterType(1) == java.sql.Types.BIGINT,
                    "metadata before execution");
        }
    }

    private void checkControl() throws SQLException {
        check(count("PAUSE JOB ?", 1L) == 1, "PAUSE JOB ?");
        check(count("RESUME JOB ? WITH REASON = ?", 2L, "why") == 1, "RESUME JOB ? WITH REASON = ?");
        check(count("CANCEL JOBS (SELECT job_id FROM [SHOW JOBS] WHERE job_id = ?)", 3L) == 1, "CANCEL JOBS");
        try (Statement statement = connection.createStatement()) {
            check(statement.executeUpdate("PAUSE JOB 1") == 1, "PAUSE JOB of a Statement");
        }
    }

    private void checkImport() throws SQLException {
        String text = "IMPORT INTO target CSV DATA (?) WITH detached, skip = ?";
        long job = Long.parseLong(value("job_id", text, file, 4));
        check(job > 3, "IMPORT ... WITH detached");
        check("succeeded".equals(value("status", "SHOW JOB WHEN COMPLETE ?", job)), "... which succeeds");
        check("10".equals(value("rows", "IMPORT INTO target CSV DATA (?)", file)), "IMPORT");
    }

    private void checkErrors() throws SQLException {
        ServerErrorMessage error = errorOf("PAUSE JOBS 1, 2");
        check(error != null && "42601".equals(error.getSQLState()) && error.getPosition() == 12
                && error.getHint().startsWith("Type PAUSE JOBS"), "a misspelt statement");
    }

    private void checkTransactions() throws SQLException {
        connection.setAutoCommit(false);
        check(count("CANCEL JOB ?", 1L) == 1, "CANCEL JOB in a transaction");
        connection.rollback();
        check("paused".equals(value("status", "SHOW JOB ?", 1L)), "... is rolled back");
        connection.rollback();
        connection.setAutoCommit(true);
    }

    private void run() throws SQLException {
        checkShow();
        if (!mode.equals("simple")) {
            checkMetadata();
        }
        checkControl();
        checkImport();
        checkErrors();
        checkTransactions();
    }

    public static void main(String[] args) throws SQLException {
        String[][] modes = {
            {"simple", "preferQueryMode=simple"},
            {"extended", "prepareThreshold=0"},
            {"prepared", "prepareThreshold=1"},
            {"prepared, binary", "prepareThreshold=-1"},
        };
        for (String[] mode : modes) {
            try (Connection connection = DriverManager.getConnection(
                    args[0] + "?" + mode[1], "postgres", System.getenv("PGPASSWORD"))) {
                new Jdbc(connection, mode[0], args[1]).run();
            }
        }
    }
}
