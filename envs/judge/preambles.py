"""Code that runs before a program, in its module: the `preamble=` of the suites."""

#: The names that LeetCode gives its Python programs: `List` and `deque` without an import, and the nodes of its lists
#: and trees. The last line takes back what its star imports hide, such as the `pow` of three arguments.
LEETCODE = """
import array, bisect, collections, copy, datetime, decimal, fractions, functools, heapq, itertools, json, math
import operator, queue, random, re, statistics, string, sys, time, typing
from typing import *
from string import *
from bisect import *
from collections import *
from copy import *
from datetime import *
from functools import *
from heapq import *
from itertools import *
from math import *
from operator import *
from random import *
from builtins import *

class ListNode:
    def __init__(self, val=0, next=None):
        self.val = val
        self.next = next

class TreeNode:
    def __init__(self, val=0, left=None, right=None):
        self.val = val
        self.left = left
        self.right = right
"""
