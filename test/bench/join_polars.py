"""The peer `polars`: lazy left join of ready Parquet copies, streamed into Parquet in the primary's order."""
import os

from common import KEY, ROW_GROUP_ROWS, arguments

given = arguments()
os.environ["POLARS_MAX_THREADS"] = str(given.threads)
import polars as pl  # noqa: E402: it counts its threads when it is imported

joined = pl.scan_parquet(given.primary).join(pl.scan_parquet(given.friend), on=list(KEY), how="left", maintain_order="left")
joined.sink_parquet(given.out, compression="zstd", row_group_size=ROW_GROUP_ROWS)
