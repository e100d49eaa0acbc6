"""ACE (Agentic Context Engineering, arXiv 2510.04618) at engine speed."""
