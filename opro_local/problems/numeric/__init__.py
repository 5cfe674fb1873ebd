"""The paper's numeric problems (section 4): linear regression and the travelling salesman, with
their baselines.
"""
