"""Reports of questions and answers: a table for the terminal and a page for the browser.

Compares answers with the truth by the project's rules; otherwise computes only counts and medians.
"""

from smolrgpt_core.report.page import PageTable, TableCell, write_html_report, write_page
from smolrgpt_core.report.rows import (
    TOTAL,
    ReportRow,
    answer_text,
    both_values_text,
    compare_with_truth,
    compared_row,
    report_row,
)
from smolrgpt_core.report.table import print_report, summary

__all__ = [
    "TOTAL",
    "PageTable",
    "ReportRow",
    "TableCell",
    "answer_text",
    "both_values_text",
    "compare_with_truth",
    "compared_row",
    "print_report",
    "report_row",
    "summary",
    "write_html_report",
    "write_page",
]
