"""HTML pages: the parts that the report and the diagnosis share."""
