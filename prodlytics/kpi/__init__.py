"""Pure manufacturing arithmetic: frames in, frames out, no Dagster and no database."""
