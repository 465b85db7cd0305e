"""Write the model card: data, figures, what each signal is worth, known weaknesses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prelisten.lab.channel import ASKED_MOST, BESIDE_COPY, SENT_MOST
from prelisten.lab.corpus import DEGRADED, NOISY, Corpus
from prelisten.lab.fit import ALONE, Calibration
from prelisten.lab.regression import COPY_WEIGHT, REBUILT_WEIGHT
from prelisten.lab.report import MIN_GROUP, Family, Line
from wasm_detector.model import Requirement
from wasm_detector.signals import REBUILT_FAMILY

WEAKNESSES = """\
- Generators that nobody here has met. The folds leave out sources, not every kind of system; new kinds are caught less.
- Joined recordings of a genuine voice (concatenative) are the family that it tells least well: their short-time spectra
  are genuine. Then come sound rebuilt without a vocoder (Griffin-Lim) and commercial voices.
- A kind of recording that is not in the training data costs much: see the manifests left out.
- Neural-codec resynthesis of genuine speech is labelled spoof: somebody's own voice over a codec of that kind can be
  called synthetic.
- Telephone, far-field, whispered, sung and heavily compressed speech are few or absent in the data.
- A few seconds of synthetic speech inside a long genuine recording are averaged away in the score; its segments
  show them.
- Anyone who has this detector can search for a recording that it misses. It informs; it proves nothing.
- Some of the labels rest on the words of the pages that the clips come from; nobody has listened to all of them.
"""


@dataclass(frozen=True, slots=True)
class Card:
    """Everything that the card tells."""

    detector: str
    command: str
    requires: Sequence[Requirement]
    data_sha256: str
    corpus: Corpus
    calibration: Calibration
    crossed: Sequence[Line]
    left_out: Sequence[Line]
    families: Sequence[Family]
    languages: Sequence[Line]
    sexes: Sequence[Line]
    effects: Sequence[tuple[str, tuple[float, float]]]
    rebuilt: Sequence[tuple[str, int, float, float]]
    conditions: Sequence[tuple[str, float, float, float, float]]
    noises: Sequence[tuple[str, float, float, float, float]]
    reliability: Sequence[tuple[float, float, int, float, float]]
    edges: Sequence[tuple[str, str, float, float]]
    edges_left_out: Sequence[tuple[str, str, float, float]]
    nuisance: Sequence[tuple[str, float, float, float]]
    nonspeech: tuple[int, float, float]
    lost_speech: float


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.3f} ({low:.3f} to {high:.3f})"


def _lines(lines: Sequence[Line]) -> str:
    head = "| clips | bona fide | spoof | AUC | EER | caught at 5 % | pairs won |\n|---|---|---|---|---|---|---|\n"
    rows = [
        f"| {one.name} | {one.n_bona_fide} | {one.n_spoof} | {_interval(one.auc, one.low[0], one.high[0])} "
        f"| {_interval(one.eer, one.low[1], one.high[1])} | {_interval(one.caught, one.low[2], one.high[2])} "
        f"| {one.pairs:.2f} |"
        for one in lines
    ]
    return head + "\n".join(rows)


def _groups(card: Card) -> str:
    known = [
        f"### By {name} (sources left out, genuine against synthetic clips of the same)\n"
        f"Where a manifest says so. At least {MIN_GROUP} clips of each class make a line.\n\n{_lines(lines)}\n"
        for name, lines in (("language", card.languages), ("sex", card.sexes))
        if lines
    ]
    if not card.sexes:
        known.append("The manifests do not say the speakers' sex, so there are no figures by it.\n")
    return "\n".join(known)


def _data(corpus: Corpus) -> str:
    labels, splits = corpus.column("label"), corpus.column("split")
    rows = []
    for split in sorted(set(splits)):
        inside = splits == split
        counts = [int((labels[inside] == name).sum()) for name in ("bona_fide", "spoof", "nonspeech")]
        sources = len(set(corpus.column("source")[inside]))
        systems = len(set(corpus.column("system")[inside & (labels == "spoof")]))
        rows.append(
            f"| `SPEECH/{split}/manifest.csv` | {' | '.join(map(str, counts))} | {sources} | {systems} |"
        )
    head = "| manifest | bona fide | spoof | nonspeech | sources | systems |\n|---|---|---|---|---|---|\n"
    return head + "\n".join(rows)


def _alone() -> str:
    return ", ".join(f"`{name}` ({share})" for name, share in ALONE.items())


def _own_signals(requires: Sequence[Requirement]) -> str:
    if not requires:
        return ""
    named = "\n".join(f"- {one}" for one in requires)
    return f"\nWith signals of its operator's own; without these very wheels it does not run:\n\n{named}\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _robustness(rows: Sequence[tuple[str, float, float, float, float]]) -> str:
    """Return the table of what `report.by_condition` found."""
    head = ("condition", "AUC", "EER", "caught at 5 %", "EER rises by", "false alarms")
    return _table(
        head,
        [
            [name, f"{a:.3f}", f"{e:.3f}", f"{c:.2f}", f"{100 * (e - rows[0][2]):+.1f}", f"{100 * f:.1f} %"]
            for name, a, e, c, f in rows
        ],
    )


def write_card(card: Card) -> str:
    """Return the card as Markdown."""
    n_quiet, kept, high = card.nonspeech
    families = [
        [
            one.name,
            str(one.n_clips),
            _interval(one.auc, one.low[0], one.high[0]),
            f"{one.caught:.2f} ({one.low[1]:.2f} to {one.high[1]:.2f})",
        ]
        for one in card.families
    ]
    effects = [[f"`{name}`", f"{a:+.4f}", f"{c:+.3f}"] for name, (a, c) in card.effects]
    rebuilt = [[name.replace("_", " "), str(n), f"{a:.3f}", f"{f:.3f}"] for name, n, a, f in card.rebuilt]
    reliability = [
        [f"{a:.1f} to {b:.1f}", str(n), f"{m:.2f}", f"{s:.2f}"] for a, b, n, m, s in card.reliability
    ]
    left_out = {(band, split): rates for band, split, *rates in card.edges_left_out}
    edges = [
        [band, split, *(f"{100 * rate:.1f} %" for rate in (*rates, *left_out.get((band, split), ())))]
        for band, split, *rates in card.edges
    ]
    edge_columns = ("false alarms", "caught") * (2 if left_out else 1)
    nuisance = [
        [name, f"{alone:.3f}", f"{owed:.3f}", f"{100 * share:.0f} %"]
        for name, alone, owed, share in card.nuisance
    ]
    bands = card.calibration
    return f"""# Model card: {card.detector}

Made by

```
{card.command}
```

With the same manifests, seeds and library versions that command makes the same weights, but for the last digits
(up to 2e-13 in a fit that was made twice); its id may be another.
Digest of the training data (ids and labels): `{card.data_sha256}`.

## What it is
A sum over signals of small kernel machines (Gaussian bumps around landmarks), fitted together by one ridge regression,
so that log-odds = bias + one number for each signal. Fitted alone, by logistic regression, and added at a share:
{_alone()}. The last part, `together`, is such a machine over all signals'
numbers at once, seen in the directions in which recordings differ most; its landmarks are all the clips that it was
trained on. A second sum over the signals' bumps (logistic regression) measures whether there is speech at all. A source
counts by the square root of its clips, and recordings as people make them count as much as clean ones. While fitting,
each clean source has a level of its own, forgotten afterwards: the weights learn what differs within a source.

In noise an expert, over all signals' numbers too, counts up to {100 * ASKED_MOST:.0f} %, and those fitted
together so much less; a linear estimate of the noise from the same numbers says how much. So does another expert in a
telephone's narrow band. An estimate of a messenger's codec takes up to {SENT_MOST} off the log-odds before
calibration. All that belongs to `together`.
{_own_signals(card.requires)}
Trained on besides: a copy of each clip over codecs, telephones, rooms, noise filters or beats that repeat (weight
{COPY_WEIGHT[DEGRADED]}), and of each clean genuine clip a copy that was taken apart and rebuilt (weight
{REBUILT_WEIGHT}), labelled spoof: what differs there is the rebuilding alone. The expert for noise is trained on
{len(NOISY)} copies of each clip of speech with noise 14 to 26 dB below, white or darker, that for narrow bands on a
copy over a telephone (8 kHz, one in six through mu-law, one in three through GSM 06.10), both on the clips, too (weight
{BESIDE_COPY}); the estimate of a messenger's codec on a copy over Opus at 12 to 48 kbit/s. Copies stay in the fold of
their source.
All figures below are of scores by fits that knew nothing of the source.

`spoof_score` is a probability at a prior of one half, calibrated (Platt) on scores of clips whose source the fit had
not seen. `high` starts at {bands.high} (about 5 % of such genuine clips are above), `elevated` at {bands.elevated}
(about 15 %){", the mean of what sources left out and manifests left out ask for" if left_out else ""}; clean recordings
and those that people make count alike. Where a page's recordings are mostly genuine, fewer of the `high` are synthetic.

## Data
{_data(card.corpus)}

Research recordings and demonstration pages, collected for training and measuring only. Most pages state no licence;
none of the audio is part of this project, and the weights do not contain it.

## Figures
Brackets are 90 % intervals, drawing whole sources with replacement. `pairs won`: how often the synthetic member of a
pair (same sentence or speaker) outranks its genuine twin.

### Sources left out ({len(set(card.corpus.column("source")))} sources in 6 folds, one model for all clips)
{_lines(card.crossed)}

### Manifests left out (each scored by a fit on the other manifests only)
{_lines(card.left_out)}

### By family of system (sources left out, against all genuine clips)
{_table(("family", "clips", "AUC", "caught at 5 %"), families)}

{_groups(card)}
### What each signal is worth
Change of the figures over all clips when the signal's contribution is taken out of the sum and the others stay as they
were fitted (sources left out); negative = it is missed.

{_table(("signal", "AUC", "caught at 5 %"), effects)}

### Sound rebuilt from a spectrogram, and coded
Genuine clean clips against copies of themselves (sources left out): the whole score, and the family of signals for
rebuilt sound alone ({", ".join(f"`{name}`" for name in REBUILT_FAMILY)}).

{_table(("copy", "clips", "AUC", "AUC of the family alone"), rebuilt)}

### On the way
Some of the clips of speech, evenly picked, under each condition (sources left out). Then the change of the EER in
points, and how many genuine clips reach the band `high`. Gain and polarity change nothing, by construction.

{_robustness(card.conditions)}

Noise of other loudness and colour: the expert for noise has met neither 10 nor 30 dB, nor fans. And clips of music,
noise and environment behind the voice, which no copy that is trained on has.

{_robustness(card.noises)}

### Is the probability one?
Both classes counting alike, sources left out; calibrated on these same scores by two numbers.

{_table(("spoof_score", "clips", "mean score", "share of spoof"), reliability)}

### At the edges of the bands
With sources left out{", then with the whole manifest left out" if left_out else ""}.

{_table(("band", "clips", *edge_columns), edges)}

### What must not tell the classes apart
AUC of length, level, peak, offset, edges and bandwidth alone (logistic regression, sources left out); AUC of what they
predict of the detector's log-odds (linear regression, sources left out), which is what the detector may owe to them;
and the share of the log-odds' variance that they predict (below 0: worse than the mean).

{_table(("clips", "they alone", "what they predict of the score", "share of its variance"), nuisance)}

### What is no speech
{n_quiet} clips of music, noise and environment, sources left out: {100 * kept:.0f} % are scored at all,
{100 * high:.1f} % reach the band `high`. {100 * card.lost_speech:.1f} % of the speech clips are
turned away as no speech.

## Known weaknesses
{WEAKNESSES}"""
