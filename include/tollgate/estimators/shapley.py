"""Shapley values of boosted trees from tables that are made once a model, so that a row costs a few lookups a tree.

The values are those of path-dependent Tree SHAP (Lundberg et al., "From local explanations to global understanding with
explainable AI for trees", 2020), to the last bits of their sums: an input that is not known goes both ways at a split,
in the shares in which the training rows went. Of a leaf they depend on a row only by which of the inputs on its path
would lead there, and so can be listed for every such pattern (Yang, "Fast TreeSHAP", 2021, lists them leaf by leaf).
Here one table serves a whole branch: it is looked up by what the branch's splits would each say of the row. Tables of
the same few inputs are then added up, over the bins that any of them tells apart: of small trees few tables are left.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

BITS = 12       # answers that a table is looked up by: 4,096 lines of it stay in a processor's cache
LINES = 2**BITS
FEW = 2**8      # lines of a table that is worth adding to others
CHUNK = 16_384  # rows looked up at once, for the same reason
LONGEST = 10    # inputs on one way: the patterns of a tree's leaves are kept in memory while its tables are made


@dataclass(frozen=True)
class Tree:
    """One binary tree; node 0 is its root.

    Attributes:
        left, right: each node's children, -1 where it is a leaf. feature: the input that it is split on.
        goes_left: of each split, which bins of its input go left, bool.
        cover: the weight of the training rows that came through each node. value: of each leaf, in log-odds.
    """

    left: Sequence[int]
    right: Sequence[int]
    feature: Sequence[int]
    goes_left: Sequence[np.ndarray]
    cover: Sequence[float]
    value: Sequence[float]


@dataclass(frozen=True)
class _Step:
    """A split on the way to a leaf: the node, and whether the way goes left there."""

    node: int
    left: bool


@dataclass(frozen=True)
class _Branch:
    """The part of a tree below a node, and the way to it.

    Attributes:
        way: from the root to the branch. splits: the nodes in it. leaves: the way to each leaf, from the root.
    """

    tree: Tree
    way: tuple[_Step, ...]
    splits: tuple[int, ...]
    leaves: tuple[tuple[tuple[_Step, ...], int], ...]


@dataclass(frozen=True)
class _Table:
    """The values of one branch.

    Attributes:
        places: of each input, what a bin of it adds to the line of the table: of shape (bins,).
        values: of each input, its Shapley value by line, of shape (lines,): float32, or the float64 sum of several.
    """

    places: tuple[tuple[int, np.ndarray], ...]
    values: tuple[tuple[int, np.ndarray], ...]


class Tables:
    """All tables of a model.

    Raises:
        ValueError: there are more than ``LONGEST`` inputs on the way to a leaf.
    """

    def __init__(self, trees: Iterable[Tree], inputs: int) -> None:
        self._inputs = inputs
        self._tables = _added_up([table for tree in trees for table in _tables_of(tree)])

    def contributions(self, bins: np.ndarray) -> np.ndarray:
        """What each input adds to a row's log-odds; float64 of shape (rows, inputs).

        Args:
            bins: of each row's inputs, whole numbers of shape (inputs, rows).
        """
        found = np.zeros((self._inputs, bins.shape[1]))
        for start in range(0, bins.shape[1], CHUNK):
            here, into = bins[:, start:start + CHUNK].astype(np.intp, copy=False), found[:, start:start + CHUNK]
            line, adding = np.empty(here.shape[1], np.intp), np.empty(here.shape[1], np.intp)
            buffers = {of: np.empty(here.shape[1], of) for of in (np.dtype(np.float32), np.dtype(np.float64))}
            for table in self._tables:
                line[:] = 0
                # Every place lies in its table; "clip" only spares NumPy a copy.
                for feature, adds in table.places:
                    line += np.take(adds, here[feature], out=adding, mode="clip")
                for feature, values in table.values:
                    into[feature] += np.take(values, line, out=buffers[values.dtype], mode="clip")
        return found.T


def _added_up(tables: Sequence[_Table]) -> list[_Table]:
    """Fewer tables that say the same in sum; large ones are left alone."""
    groups: list[tuple[dict[int, np.ndarray], list[_Table]]] = []
    for table in sorted(tables, key=lambda one: (-len(one.places), sorted(feature for feature, _ in one.places))):
        own = {feature: _classes(adds) for feature, adds in table.places}
        small = _lines(own) <= FEW
        for place, (told, members) in enumerate(groups if small else []):
            if own.keys() <= told.keys():
                joint = {feature: _classes(of * (own[feature].max() + 1) + own[feature]) if feature in own else of
                         for feature, of in told.items()}
                if _lines(joint) <= LINES:
                    groups[place] = joint, [*members, table]
                    break
        else:
            groups.append((own, [table]))
    return [_sum(told, members) if len(members) > 1 else members[0] for told, members in groups]


def _classes(adds: np.ndarray) -> np.ndarray:
    """The class of each bin, from 0: bins that add the same are alike."""
    return np.unique(adds, return_inverse=True)[1]


def _lines(told: dict[int, np.ndarray]) -> int:
    return math.prod(int(of.max()) + 1 for of in told.values())


def _sum(told: dict[int, np.ndarray], members: Sequence[_Table]) -> _Table:
    """One table for several.

    Args:
        told: of each input, the class of each of its bins: no member tells bins of a class apart.
    """
    shape = [int(of.max()) + 1 for of in told.values()]
    axes = {feature: [-1 if k == axis else 1 for k in range(len(shape))] for axis, feature in enumerate(told)}
    first = {feature: np.unique(of, return_index=True)[1] for feature, of in told.items()}
    values: dict[int, np.ndarray] = {}
    for member in members:
        line = np.zeros(shape, np.intp)
        for feature, adds in member.places:
            line += adds[first[feature]].reshape(axes[feature])
        for feature, of_feature in member.values:
            values[feature] = values.get(feature, 0.0) + of_feature[line.ravel()].astype(np.float64)
    steps = [math.prod(shape[axis + 1:]) for axis in range(len(shape))]
    return _Table(tuple((feature, of * step) for (feature, of), step in zip(told.items(), steps, strict=True)),
                  tuple(values.items()))


def _branches(tree: Tree) -> Iterator[_Branch]:
    """The largest branches of a tree whose tables are small enough; each leaf is in one of them."""

    def below(node: int, way: tuple[_Step, ...]) -> Iterator[tuple[tuple[_Step, ...], int]]:
        if tree.left[node] < 0:
            yield way, node
        else:
            yield from below(tree.left[node], (*way, _Step(node, True)))
            yield from below(tree.right[node], (*way, _Step(node, False)))

    def cut(node: int, way: tuple[_Step, ...]) -> Iterator[_Branch]:
        leaves = tuple(below(node, way))
        splits = tuple(sorted({step.node for to_leaf, _ in leaves for step in to_leaf[len(way):]}))
        if len({tree.feature[step.node] for step in way}) + len(splits) <= BITS or not splits:
            yield _Branch(tree, way, splits, leaves)
        else:
            yield from cut(tree.left[node], (*way, _Step(node, True)))
            yield from cut(tree.right[node], (*way, _Step(node, False)))

    if tree.left[0] >= 0:
        yield from cut(0, ())


def _tables_of(tree: Tree) -> list[_Table]:
    """The tables of a tree; leaves with equally many inputs on their ways are solved together."""
    branches = list(_branches(tree))
    alike: dict[int, list[tuple[int, list[float]]]] = defaultdict(list)
    for branch in branches:
        for way, leaf in branch.leaves:
            shares = list(_shares(tree, way).values())
            alike[len(shares)].append((leaf, shares))
    if max(alike, default=0) > LONGEST:
        raise ValueError(f"{max(alike)} inputs lie on the way to a leaf, and tables are made for at most {LONGEST}")
    solved: dict[int, np.ndarray] = {}
    for leaves in alike.values():
        found = _patterns(np.array([shares for _, shares in leaves]), np.array([tree.value[k] for k, _ in leaves]))
        solved |= dict(zip((leaf for leaf, _ in leaves), found, strict=True))
    return [_table(branch, solved) for branch in branches]


def _shares(tree: Tree, way: tuple[_Step, ...]) -> dict[int, float]:
    """Of each input on a way, in its order, the share of the training rows that its splits let pass."""
    shares: dict[int, float] = {}
    for step in way:
        child = tree.left[step.node] if step.left else tree.right[step.node]
        feature = tree.feature[step.node]
        shares[feature] = shares.get(feature, 1.0) * tree.cover[child] / tree.cover[step.node]
    return shares


def _patterns(shares: np.ndarray, value: np.ndarray) -> np.ndarray:
    """Shapley values of leaves with equally many inputs on their ways, for every pattern of these.

    Of a pattern in which the inputs S would lead to the leaf, with d inputs on its way, the value of input j is
    value (z_j - r_j) sum over T in S without j of |T|! (d - |T| - 1)! / d! times the product of r over all inputs but
    T and j, where z_j is 1 in S, else 0, and r are the shares.

    Args:
        shares: r, of shape (leaves, d). value: of shape (leaves,).

    Returns float64 of shape (leaves, 2 ^ d, d); bit k of a pattern is the k-th input.
    """
    leaves, d = shares.shape
    leads = (np.arange(2**d)[:, None] >> np.arange(d)) & 1
    weight = np.array([math.factorial(k) * math.factorial(d - k - 1) / math.factorial(d) for k in range(d)])
    found = np.empty((leaves, 2**d, d))
    for j in range(d):
        # The sums of products over the sets T of each size: one input after the other is in T or adds its share.
        sums = np.zeros((leaves, 2**d, d))
        sums[..., 0] = 1.0
        for i in (i for i in range(d) if i != j):
            joined = sums * shares[:, None, i, None]
            joined[..., 1:] += sums[..., :-1] * leads[None, :, i, None]
            sums = joined
        found[..., j] = value[:, None] * (leads[None, :, j] - shares[:, None, j]) * (sums @ weight)
    return found


def _table(branch: _Branch, solved: dict[int, np.ndarray]) -> _Table:
    """The sum of a branch's leaves, by the answers that a row gives: on the way to it, then split by split.

    Args:
        solved: of each leaf, its values by pattern.
    """
    tree, way = branch.tree, branch.way
    passed = list(dict.fromkeys(tree.feature[step.node] for step in way))
    places: dict[int, np.ndarray] = {}

    def add(feature: int, answer: np.ndarray, bit: int) -> None:
        places[feature] = places.get(feature, 0) + (answer.astype(np.intp) << bit)

    for bit, feature in enumerate(passed):
        add(feature, np.logical_and.reduce([tree.goes_left[step.node] == step.left for step in way
                                            if tree.feature[step.node] == feature]), bit)
    for bit, node in enumerate(branch.splits, start=len(passed)):
        add(tree.feature[node], tree.goes_left[node], bit)

    lines = np.arange(2 ** (len(passed) + len(branch.splits)))
    bit_of = {node: bit for bit, node in enumerate(branch.splits, start=len(passed))}
    values: dict[int, np.ndarray] = {}
    for to_leaf, leaf in branch.leaves:
        leads = {feature: (lines >> bit) & 1 for bit, feature in enumerate(passed)}
        for step in to_leaf[len(way):]:
            answer = ((lines >> bit_of[step.node]) & 1) == step.left
            feature = tree.feature[step.node]
            leads[feature] = leads.get(feature, 1) & answer
        pattern = sum(leads[feature] << k for k, feature in enumerate(leads))
        for k, feature in enumerate(leads):
            values[feature] = values.get(feature, 0.0) + solved[leaf][pattern, k]
    return _Table(tuple(places.items()), tuple((feature, of.astype(np.float32)) for feature, of in values.items()))
