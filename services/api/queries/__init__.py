"""The api's SQL. Functions take the connection first and never commit."""
