"""HTML elements that the report and the diagnosis share."""
