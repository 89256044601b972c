"""Classes of statistics beside the chart, and reports by them."""
