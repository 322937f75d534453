"""Readers of programming data sets: HumanEval, MBPP, EvalPlus, APPS."""
