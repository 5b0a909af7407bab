"""Judging values: a student's answers beside those of a slow reference, and what a difference means.

From the particular to the general: is it the answer of a known mistake, or of two of them at once? Does it break a law
that any right answer obeys? Is it the right answer times a factor with a name, or with two arguments exchanged? Is it
right but for one kind of case? Only then: a small case, to be followed by hand.
"""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from dml_teach.classroom import forms, gradients, relations, slow
from dml_teach.classroom.calling import Caller
from dml_teach.classroom.task import Case, Law, Mistake, Refused
from dml_teach.classroom.words import shown


class Seen(NamedTuple):
    """One case with what the reference and the student say to it; gradients by the argument's name."""

    case: Case
    plain: tuple[Any, ...]
    expected: Any
    answer: Any
    pulls: dict[str, NDArray[Any] | None]


@dataclass(frozen=True)
class Values:
    """An examination by values.

    Attributes:
        cases: makes them from random numbers; plain ones first, the smallest before all.
        reference: in NumPy and float64, with a flag for each known mistake.
        mistakes: known ones, in the order in which they are looked for.
        laws: what any right answer obeys.
        learns: arguments into which gradient must flow, and rightly.
        targets: arguments into which none may flow.
        dtype: of a tensor that is returned; "same" is that of the first argument with a fractional type.
        tolerance: relative, for float64.
        target_says: what to say to a gradient that flows into one of `targets`.
        factors: name -> function of the arguments: factors that a wrong answer may be off by, "the number of classes".
        adapter: makes a function of tensors from the student's, where that one takes networks.
        names: of the adapted function's arguments.
        parts: names of the parts of an answer that has several.
    """

    cases: Callable[[np.random.Generator], Sequence[Case]]
    reference: Callable[..., Any]
    mistakes: Sequence[Mistake] = ()
    laws: Sequence[Law] = ()
    learns: Sequence[str] = ()
    targets: Sequence[str] = ()
    dtype: torch.dtype | str = "same"
    tolerance: float = 1e-6
    target_says: str = "It is a target, a plain number: detach it."
    factors: dict[str, Callable[..., float]] = field(default_factory=dict)
    adapter: Callable[[Callable[..., Any]], Callable[..., Any]] | None = None
    names: Sequence[str] = ()
    parts: Sequence[str] = ()

    def __call__(self, call: Caller, rng: np.random.Generator) -> int:
        """Examine the function behind `call`; the number of cases."""
        if self.adapter:
            call = Caller(self.adapter(call.function), call.name, self.names, call.signature)
        cases, seen, late = _with_a_view(list(self.cases(rng))), list[Seen](), None
        for case in cases:
            try:
                seen.append(self._see(call, case))
            except Refused as refused:
                late = refused
                break
        self._judge(seen, call.arguments)
        if late:
            raise late
        self._judge_gradients(seen, call.arguments)
        self._judge_repetition(call, seen[0])
        return len(cases)

    def _see(self, call: Caller, case: Case) -> Seen:
        wanted = (*self.learns, *self.targets)
        result, given = call.with_inputs(case.arguments, case.says, wanted)
        plain = tuple(map(forms.plain, case.arguments))
        expected = self.reference(*plain)
        forms.check(result, expected, forms.wanted_dtype(self.dtype, case.arguments), case, call.arguments)
        pulls = gradients.of(call, result, {name: given[name] for name in wanted}, bool(self.learns))
        try:
            return Seen(case, plain, expected, forms.plain(result), pulls)
        except (RuntimeError, TypeError, NotImplementedError) as error:
            raise Refused(f"Its result can not be read as numbers: {str(error)[:200]}") from None

    # --- values ---

    def _close(self, answer: Any, expected: Any, case: Case) -> bool:
        return relations.close(answer, expected, 2e-4 if forms.single(case.arguments) else self.tolerance)

    def _judge(self, seen: Sequence[Seen], names: Sequence[str]) -> None:
        wrong = [s for s in seen if not self._close(s.answer, s.expected, s.case)]
        if wrong:
            raise Refused(self._reason(seen, wrong, names) + self._worked(wrong, names))

    def _reason(self, seen: Sequence[Seen], wrong: Sequence[Seen], names: Sequence[str]) -> str:
        plain = [s for s in seen if not s.case.says]
        wrong_plain = [s for s in wrong if not s.case.says]
        # A mistake explains every plain case, also those that come out right; in special ones it may take other forms.
        if reason := self._known(plain if wrong_plain else [*plain, *wrong]):
            return reason
        if not wrong_plain and plain:
            extra = " It is not a number there." if relations.not_finite(wrong[0].answer, wrong[0].expected) else ""
            return f"It is right in the {len(plain)} plain cases, but not with {wrong[0].case.says}.{extra}"
        if any(relations.not_finite(s.answer, s.expected) for s in wrong_plain):
            return "It returns nan or infinity where there is a finite number."
        if reason := relations.nearly([(s.answer, s.expected) for s in wrong_plain]):
            return reason
        for law in self.laws:
            if any(not _obeys(law, s) for s in wrong_plain):
                return law.says
        pairs = [(s.answer, s.expected, self._sizes(s)) for s in wrong_plain]
        if reason := relations.named(pairs) or self._exchanged(wrong_plain, names):
            return reason
        if place := relations.partly([(s.answer, s.expected) for s in wrong_plain], self.tolerance):
            return place
        return self._otherwise(seen, plain, wrong)

    def _otherwise(self, seen: Sequence[Seen], plain: Sequence[Seen], wrong: Sequence[Seen]) -> str:
        """What can be said of an answer that is wrong in a way nobody has thought of."""
        wrong_plain = [s for s in wrong if not s.case.says]
        says = ["The values are not right, and it is none of the usual mistakes."]
        if len(wrong_plain) < len(plain):
            says = [f"The values are right in {len(plain) - len(wrong_plain)} of {len(plain)} plain cases only."]
        if self.parts:
            good, bad = self._parts(wrong_plain)
            says += [f"In all plain cases right: {', '.join(good)}; wrong: {', '.join(bad)}."] if good else []
        right = {s.case.says: None for s in seen if s.case.says and s.case.says not in slow.FORMS}
        right = {name: None for name in right if not any(s.case.says == name for s in wrong)}
        if right:
            says.append(f"It is right with {'; with '.join(right)}. What is different there?")
        elif side := relations.one_sided([(s.answer, s.expected) for s in wrong_plain]):
            says.append(side)
        return " ".join(says)

    def _parts(self, wrong: Sequence[Seen]) -> tuple[list[str], list[str]]:
        """Names of the parts that are right in every one of these cases, and of the others."""
        good: list[str] = []
        bad: list[str] = []
        for i, name in enumerate(self.parts):
            right = all(self._close(s.answer[i], s.expected[i], s.case) for s in wrong)
            (good if right else bad).append(name)
        return good, bad

    def _known(self, seen: Sequence[Seen]) -> str | None:
        """What to say if the answers are those of a mistake, or of up to three at once."""
        for many in (1, 2, 3):
            for chosen in itertools.combinations(self.mistakes, many):
                flags = {name: value for mistake in chosen for name, value in mistake.flags.items()}
                if len(flags) == sum(len(m.flags) for m in chosen) and self._is(flags, seen):
                    says = " ".join(m.says for m in chosen)
                    return says if many == 1 else f"{('Two', 'Three')[many - 2]} things at once. {says}"
        return None

    def _is(self, flags: dict[str, Any], seen: Sequence[Seen]) -> bool:
        for s in seen:
            try:
                with np.errstate(all="ignore"):
                    mistaken = self.reference(*s.plain, **flags)
            except (ArithmeticError, ValueError, LookupError):
                return False
            if not forms.alike(mistaken, s.answer) or not self._close(s.answer, mistaken, s.case):
                return False
        return True

    def _exchanged(self, wrong: Sequence[Seen], names: Sequence[str]) -> str | None:
        """Two arguments of one shape have changed places."""
        for i, j in itertools.combinations(range(len(names)), 2):
            for s in wrong:
                if not forms.alike(s.plain[i], s.plain[j]) or type(s.plain[i]) is not type(s.plain[j]):
                    break
                swapped = list(s.plain)
                swapped[i], swapped[j] = swapped[j], swapped[i]
                if not self._close(s.answer, self._of_swapped(swapped), s.case):
                    break
            else:
                return f"`{names[i]}` and `{names[j]}` have changed places in your formula."
        return None

    def _of_swapped(self, arguments: Sequence[Any]) -> Any:
        try:
            return self.reference(*arguments)
        except (ArithmeticError, ValueError, LookupError):
            return None

    def _sizes(self, s: Seen) -> dict[str, float]:
        return {name: factor(*s.plain) for name, factor in self.factors.items()}

    def _worked(self, wrong: Sequence[Seen], names: Sequence[str]) -> str:
        """The smallest case that goes wrong, in numbers; of several parts only which of them are wrong."""
        s = min(wrong, key=lambda one: sum(np.size(a) for a in one.plain if isinstance(a, np.ndarray | float | int)))
        if self.parts:
            pairs = zip(self.parts, s.answer, s.expected, strict=True)
            parts = [
                f"  {name}: yours {shown(a)}, right {shown(e)}" for name, a, e in pairs if not self._close(a, e, s.case)
            ]
            return "\n" + "\n".join(["Not right:", *parts])
        arguments = "".join(f"\n  {name} = {shown(value)}" for name, value in zip(names, s.case.arguments, strict=True))
        return f"\nFor{arguments}\n  yours: {shown(s.answer)}\n  right: {shown(s.expected)}"

    # --- gradients, repetition ---

    def _judge_gradients(self, seen: Sequence[Seen], names: Sequence[str]) -> None:
        for s in seen:
            for name in self.targets:
                if (pull := s.pulls[name]) is not None and np.abs(pull).max(initial=0) > 1e-12:
                    raise Refused(f"Its value is right, but a gradient flows into `{name}`. {self.target_says}")
        for name in self.learns:
            index, wrong = list(names).index(name), []
            for s in seen:
                right = gradients.by_differences(self.reference, s.plain, index)
                pull = np.zeros_like(right) if (found := s.pulls[name]) is None else found
                if not relations.close(pull, right, 1e-3 if forms.single(s.case.arguments) else 1e-4, absolute=1e-5):
                    wrong.append((s, pull, right))
            if wrong:
                raise Refused(self._of_gradient(name, wrong))

    def _of_gradient(self, name: str, wrong: Sequence[tuple[Seen, NDArray[Any], NDArray[Any]]]) -> str:
        s, pull, right = wrong[0]
        where = f" with {s.case.says}" if s.case.says else ""
        if np.isnan(pull).any():
            return f"Its value is right, but its gradient for `{name}` is nan{where}."
        reason = relations.named([(g, r, self._sizes(s)) for s, g, r in wrong]) or ""
        if not any(g.any() for _, g, _ in wrong):
            reason = "None arrives: on the way something was detached, or turned into a plain number."
        return (
            f"Its value is right, but its gradient for `{name}` is not{where}. {reason or 'A part of it is cut off.'}"
            f"\nYours: {shown(pull)}\nRight: {shown(right)}"
        )

    def _judge_repetition(self, call: Caller, first: Seen) -> None:
        again = forms.plain(call(first.case.arguments, first.case.says))
        if not forms.alike(again, first.expected) or not self._close(again, first.expected, first.case):
            raise Refused(
                "Called a second time with the same arguments it gives another answer: it remembers something, or "
                "draws "
                "random numbers. The answer may depend on the arguments alone."
            )


def _with_a_view(cases: list[Case]) -> list[Case]:
    """One more case: tensors that lie in memory column by column."""
    plain = [case for case in cases if not case.says]
    if any(case.says == slow.TURNED for case in cases) or not any(map(slow.is_table, plain[-1].arguments)):
        return cases
    turned = tuple(slow.turned(a) if slow.is_table(a) else a for a in plain[-1].arguments)
    return [*cases, Case(turned, slow.TURNED)]


def _obeys(law: Law, s: Seen) -> bool:
    try:
        with np.errstate(all="ignore"):
            return bool(law.holds(s.answer, *s.plain))
    except (ArithmeticError, ValueError, LookupError):
        return False
