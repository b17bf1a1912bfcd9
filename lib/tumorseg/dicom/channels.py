"""Which MR sequence is this series: T1, T1Gd (post-contrast), FLAIR, T2, or something else?

Nothing in a study says so in one place. Four witnesses are heard, and their votes add up:

1. what it certainly is not: diffusion, perfusion, angiography, maps, localizers (words and image types);
2. AcquisitionContrast of Enhanced MR, the one attribute that is meant for the question;
3. the words of the description and the protocol;
4. physics: echo, repetition and inversion times. A long inversion time with a long echo nulls water (FLAIR); a
   shorter one with a short echo is a T1 (MPRAGE, "T1 FLAIR"), whatever its name says.

Whether a T1 is post-contrast is a second question, answered by explicit words (*pre*, *post*, *without*), then by
the contrast attributes; scanners carry an agent's name over into series taken before it was given.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from tumorseg.dicom.headers import Acquisition, SeriesHeader
from tumorseg.types import FLAIR, T1, T1GD, T2

OTHER = "other"
#: Votes: the attribute made for it, a word somebody wrote, times that fit.
ATTRIBUTE_VOTE, WORD_VOTE, PHYSICS_VOTE = 4.0, 3.0, 2.0

#: ms. FLAIR nulls cerebrospinal fluid (T1 about 4 s), which takes an inversion time beyond this.
WATER_NULLING_TI = 1500.0
#: ms. Inversion times below this null fat (STIR), above it they weight T1.
T1_SHORTEST_TI = 300.0
#: ms. A T1 contrast needs an echo before T2 decay shows ...
T1_LONGEST_TE = 35.0
#: ... which is sooner for gradient echoes, where later ones show T2*.
T1_LONGEST_TE_GRADIENT = 12.0
#: ms. Spin echoes lose T1 contrast beyond this repetition time.
T1_LONGEST_TR = 1200.0
#: ms. T2 contrast shows from here.
T2_SHORTEST_TE, T2_SHORTEST_TR = 60.0, 1800.0


@dataclass(frozen=True)
class Verdict:
    """What a series is taken for.

    Attributes:
        channel: ``T1``, ``T1Gd``, ``FLAIR``, ``T2`` or ``other``.
        score: sum of the votes for it, 0 for ``other``.
        reason: what spoke for it, one sentence.
    """

    channel: str
    score: float
    reason: str


def classify(series: SeriesHeader) -> Verdict:
    """Tell which sequence ``series`` is, and why."""
    if series.modality != "MR":
        return Verdict(OTHER, 0.0, f"modality is {series.modality or 'missing'}, not MR")
    text = _telling_words(series)
    excluded = _excluded(text, series.acquisition)
    if excluded:
        return Verdict(OTHER, 0.0, excluded)
    votes: dict[str, float] = defaultdict(float)
    reasons: dict[str, list[str]] = defaultdict(list)
    for weighting, vote, reason in _votes(text, series.acquisition):
        votes[weighting] += vote
        reasons[weighting].append(reason)
    if not votes:
        return Verdict(OTHER, 0.0, "neither its description nor its parameters tell a known sequence")
    best = max(votes, key=lambda name: votes[name])
    if best == T1:
        post, why = _is_post_contrast(text, series.acquisition)
        best, reasons[T1] = (T1GD if post else T1), [*reasons[T1], why]
        votes[best] = votes[T1]
        reasons[best] = reasons[T1]
    return Verdict(best, votes[best], "; ".join(filter(None, reasons[best])))


def classify_words(name: str) -> str:
    """Tell the sequence from a file's name alone: ``T1``, ``T1Gd``, ``FLAIR``, ``T2`` or ``other``."""
    text = re.sub(r"^sub \w+ ", "", words_of(name))  # BIDS: sub-01_T1w is no subtraction
    if _first(_NOT_ANATOMY, text):
        return OTHER
    # In file names "pre" and "post" may as well be about a treatment; only right behind T1 they are about contrast.
    text = re.sub(r"(?<!t1 )(?<!t1w )\b(?:pre|post)\b", " ", text)
    weighting = next((found for found, _, _ in _word_votes(text)), OTHER)
    return T1GD if weighting == T1 and _is_post_contrast(text, Acquisition())[0] else weighting


def _telling_words(series: SeriesHeader) -> str:
    """Return the words to judge by: the protocol names the whole examination on some scanners, so it comes second."""
    description = words_of(series.description)
    return description if any(_word_votes(description)) else words_of(series.description, series.protocol)


def is_localizer(series: SeriesHeader) -> bool:
    """Whether the series is a scout: named or typed so."""
    return "LOCALIZER" in series.acquisition.image_type or bool(
        _LOCALIZER.search(words_of(series.description, series.protocol))
    )


def words_of(*texts: str) -> str:
    """Bring names to lower case with single spaces for ``_ - . /`` and the like; ``+`` and ``*`` mean much and stay."""
    joined = " ".join(texts).lower().replace("w/o", " without ").replace("w/", " with ")
    return " ".join(re.sub(r"[^a-z0-9+*äöüß]+", " ", joined).split())


_LOCALIZER = re.compile(
    r"\b(loc|locali[sz]ers?|locator|scouts?|aahscout|survey|topogram|3 ?plane|smartbrain|plan scan)\b"
)
_NOT_ANATOMY = re.compile(
    r"\b(dwi|dw|diff?|diffusion|adc\w*|e?trace[wx]?|dti|fa map|b ?(?:0|1|500|800|1000|1500|2000)"
    r"|perf|perfusion|pwi|dsc|dce|asl|n?r?cb[vf]\w*|mtt|ttp|tmax|ktrans|swi|swan|venobold|phase|mips?|min ?ip"
    r"|mra|mrv|tof|angio\w*|pca|carotids?|spectro\w*|mrs|csi|svs|bold|fmri|field ?map\w*|calib\w*"
    r"|sub|subtr\w*|dt1|t[12] ?map\w*|stir|psir|hemo|heme|t2 ?star\w*|ssfp|fiesta|ciss|trufi"
    r"|mask\w*|seg|segmentation|screen ?save)\b|\bt2w? ?\*"
)
_MAPS = {"DIFFUSION", "ADC", "TRACEW", "FA", "PERFUSION", "PERFUSION_MR", "CBV", "CBF", "MTT", "TTP", "SWI"}
_PARTS = {"PHASE", "PHASE MAP", "P", "VELOCITY MAP", "SUBTRACTION", "SUBTRACT", "LOCALIZER"}
_PROJECTIONS = {"PROJECTION IMAGE", "MIP", "MINIP", "MIN IP"}
_IMAGE_TYPES = frozenset(_MAPS | _PARTS | _PROJECTIONS)
_CONTRASTS = {"T1": T1, "T2": T2, "FLUID_ATTENUATED": FLAIR}
#: AcquisitionContrast values that tell nothing.
_OPEN_CONTRASTS = frozenset({"", "UNKNOWN", "MIXED"})

#: What people write before T1 and T2 without a space: "axT1", "seT2".
_PREFIX = r"\b(?:axi?|axial|sag|cor|tra|obl|iso|[23]d|f?se|tse|ir)*"
_FLAIR = re.compile(r"flair|\bdark ?fl(?:uid)?\b|\btirm dark\b|\bfluid atten\w*")
_T1 = re.compile(_PREFIX + r"t1(?![0-9])|\b(?:mp2?rage\w*|mp rage|\w*spgr|bravo|vibe|tfl|flash|lava|thrive)\b")
_T2 = re.compile(_PREFIX + r"t2(?![0-9*])")
_AGENT_WORD = r"(?:c|con\w*|kon\w*|enh\w*|gad\w*|gd|km|iv|mdc)\b"
_PRE = re.compile(
    rf"\b(?:pre(?:con\w*|gad\w*|gd)?|without|wo|ohne|sans|sin|senza)\b(?: {_AGENT_WORD})?|\b(?:no|non) ?{_AGENT_WORD}"
    r"|\b(?:unenhanced|nati[fv]e?)\b|(?<=t1)w?pre"
)
_POST = re.compile(
    r"\b(?:post|gad\w*|gd|ce|km|mdc|with c\w*|with and|mit km|con c\w*|contrast\w*|kontrast\w*|enh\w*|postcon\w*"
    r"|dotarem|clariscan|magnevist|multihance|prohance|omniscan|vueway|elucirem)(?![a-z])"
    r"|\+ ?(?:c|gd|gad\w*|km|contrast)\b|\bc ?\+|(?<=t1)[wi]*(?:post|gd|gad|ce|c\b|km)"
)
_NO_AGENT = re.compile(r"(?:no|none|n|0|without|nil|null|unknown|na|n/a|no contrast.*|not given|ohne.*)")


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found.group(0).strip() if found else ""


def _excluded(text: str, how: Acquisition) -> str:
    """Return why the series can be none of the four, or nothing."""
    word = _first(_LOCALIZER, text) or _first(_NOT_ANATOMY, text)
    if word:
        return f"its description says {word!r}"
    types = sorted(_IMAGE_TYPES.intersection(how.image_type))
    if types:
        return f"its image type is {types[0]}"
    if how.contrast not in _CONTRASTS and how.contrast not in _OPEN_CONTRASTS:
        return f"its acquisition contrast is {how.contrast}"
    if how.b_value:
        return f"it is diffusion weighted (b = {how.b_value:g})"
    return ""


def _votes(text: str, how: Acquisition) -> Iterator[tuple[str, float, str]]:
    """Give every vote as (weighting, weight, reason)."""
    if how.contrast in _CONTRASTS:
        yield _CONTRASTS[how.contrast], ATTRIBUTE_VOTE, f"its acquisition contrast is {how.contrast}"
    yield from _word_votes(text)
    weighting, reason = _by_times(how)
    if weighting:
        yield weighting, PHYSICS_VOTE, reason


def _word_votes(text: str) -> Iterator[tuple[str, float, str]]:
    """Give the vote of the description: T1 before FLAIR ("T1 FLAIR" is a T1), FLAIR before T2 ("T2 FLAIR")."""
    vote = WORD_VOTE
    for weighting, pattern in ((T1, _T1), (FLAIR, _FLAIR), (T2, _T2)):
        word = _first(pattern, text)
        if word:
            yield weighting, vote, f"its description says {word!r}"
            vote -= 1  # a second word weighs less, and the times of the sequence can make up for it


def _by_times(how: Acquisition) -> tuple[str, str]:
    """Tell the weighting from echo, repetition and inversion times (ms); empty when they do not decide."""
    echo, repetition, inversion = how.echo_time, how.repetition_time, how.inversion_time
    if echo is None or repetition is None or "EP" in how.scanning_sequence:
        return "", ""
    gradient = "GR" in how.scanning_sequence and "SE" not in how.scanning_sequence
    times = f"TE {echo:.4g}, TR {repetition:.5g}" + (f", TI {inversion:.4g} ms" if inversion else " ms")
    if inversion and inversion >= WATER_NULLING_TI:
        return (FLAIR, f"{times} null water") if echo >= T2_SHORTEST_TE else ("", "")
    if inversion and echo <= T1_LONGEST_TE:
        return (T1, f"{times} weight T1") if inversion >= T1_SHORTEST_TI else ("", "")
    if echo >= T2_SHORTEST_TE and repetition >= T2_SHORTEST_TR:
        return T2, f"{times} weight T2"
    longest = T1_LONGEST_TE_GRADIENT if gradient else T1_LONGEST_TE
    if echo <= longest and repetition <= T1_LONGEST_TR:
        return T1, f"{times} weight T1"
    return "", ""


def _is_post_contrast(text: str, how: Acquisition) -> tuple[bool, str]:
    """Tell whether an agent was given before the series, and what says so."""
    before = _first(_PRE, text)
    after = _first(_POST, _PRE.sub(" ", text))
    if before and after:  # "with and without" names both
        before = after = ""
    if before:
        return False, f"{before!r} says no contrast agent"
    if how.agent_given is not None:
        return how.agent_given, f"its contrast usage says that an agent was {'' if how.agent_given else 'not '}given"
    if after:
        return True, f"{after!r} says post-contrast"
    if how.agent and not _NO_AGENT.fullmatch(how.agent.strip().lower()):
        return True, f"its contrast agent is {how.agent}"
    return False, "no contrast agent is mentioned"
