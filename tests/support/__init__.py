"""What the tests share: homes with sandbox nights in them, the content of every table, and institutions written by hand."""
