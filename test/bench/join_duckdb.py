"""The peer `duckdb`: left join of ready Parquet copies in SQL. Row order is given up, which is its fastest way."""
import duckdb

from common import KEY, arguments


def words(paths):
    return "[" + ", ".join("'" + path.replace("'", "''") + "'" for path in paths) + "]"


given = arguments()
connection = duckdb.connect()
connection.execute(f"SET threads={given.threads}; SET temp_directory='{given.scratch}'; SET preserve_insertion_order=false")
connection.execute(
    f"COPY (SELECT * FROM read_parquet({words(given.primary)}) AS p LEFT JOIN read_parquet({words(given.friend)}) AS f USING ({', '.join(KEY)})) "
    f"TO '{given.out}' (FORMAT parquet, COMPRESSION zstd)"
)
