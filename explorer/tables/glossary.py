"""Terms of art that the pages use: each with one plain definition, shown where the term first stands on a page."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Term:
    """A term as it is written, what it means in at most 25 words, and where the definition comes from."""

    name: str
    meaning: str
    source: str = ""


TERMS = {
    term.name.lower(): term
    for term in (
        Term(
            "Average precision",
            "How well a ranking puts films with a label first: 1 is perfect, the label's prevalence is chance. "
            "Short: AP.",
        ),
        Term(
            "AUROC",
            "How often a random film with the label scores above a random film without it. 1 is perfect, 0.5 chance.",
        ),
        Term(
            "PR gain",
            "Precision and recall rescaled, so that predicting every film positive gives 0 and perfection gives 1.",
            "Flach & Kull 2015",
        ),
        Term("Prevalence", "The share of films that have a label, among those where it is known."),
        Term("Logit", "A regime's raw score of a film for a label; higher means more likely, 0 means even odds."),
        Term("Threshold", "The score from which a film is predicted positive. It is chosen on validation films alone."),
        Term(
            "Embedding", "The vector that an encoder makes of a film. Films that look alike to it lie close together."
        ),
        Term(
            "Paired difference",
            "Two regimes compared on the same films, so that what makes a film hard for both cancels out.",
        ),
        Term(
            "Holm's p",
            "The chance of so large a difference without any true one, raised to allow for all labels tested at once.",
            "Holm 1979",
        ),
        Term(
            "Adjusted p",
            "A p raised so that, among all findings called sure, few are expected to be false.",
            "Benjamini & Hochberg 1995",
        ),
        Term(
            "Wilson interval",
            "A 95% interval of a share, which stays between 0 and 1 and holds for few films too.",
            "Wilson 1927",
        ),
        Term(
            "Purity lift",
            "How many times more of a film's nearest films share its label than random films would. 1 is chance.",
        ),
        Term(
            "Shuffled labels",
            "Labels exchanged between patients: what a measure shows where nothing is there.",
        ),
        Term(
            "Hub",
            "A film among the nearest of unusually many others. It comes up whatever is asked, so it says little.",
        ),
        Term(
            "CKA",
            "How alike two spaces place the films, whatever their rotation or scale: 1 is alike, 0 is unrelated.",
            "Kornblith et al. 2019",
        ),
        Term(
            "Modality gap",
            "The distance between where films lie and where prompts lie, as their means.",
            "Liang et al. 2022",
        ),
        Term(
            "Trustworthiness",
            "What is near on the map is near in the space. 1 is perfect, a random map has 0.5.",
            "Venna & Kaski 2001",
        ),
        Term(
            "Continuity",
            "What is near in the space is near on the map. 1 is perfect, a random map has 0.5.",
            "Venna & Kaski 2001",
        ),
        Term("Macro F1", "F1, the harmonic mean of precision and recall, averaged over labels."),
        Term("Exact match", "The share of films whose labels are all predicted rightly."),
        Term(
            "LRAP",
            "How well each film's true labels are ranked above its others: 1 is perfect.",
            "label ranking average precision",
        ),
        Term(
            "Coverage error", "How far down a film's ranked labels one must go to meet all true ones. Lower is better."
        ),
        Term("Reliability", "Whether films with a predicted probability of 0.3 have the label in 30% of cases."),
        Term(
            "Brier score",
            "The mean squared gap between a predicted probability and the truth. 0 is perfect.",
            "Brier 1950",
        ),
        Term(
            "Calibration slope",
            "1 where probabilities spread as they should; below 1 they are too extreme, above 1 too timid.",
            "Van Calster et al. 2019",
        ),
        Term(
            "Net benefit",
            "True positives less false ones, the latter weighted by how much harm a false alarm does.",
            "Vickers & Elkin 2006",
        ),
        Term("PPV", "The share of films predicted positive that have the label. It falls where the label is rarer."),
        Term(
            "NPV", "The share of films predicted negative that lack the label. It falls where the label is more common."
        ),
        Term(
            "Prior shift",
            "A label is rarer or more common elsewhere, while films with it look alike, and films without it too.",
            "Godau et al. 2025",
        ),
        Term(
            "Guarantee",
            "A bound that holds in 95 of 100 studies like this one, for patients like those it was made on.",
            "learn then test, Angelopoulos et al. 2025",
        ),
        Term(
            "Coverage",
            "The share of films that a regime decides; the others, of which it is least sure, go to a reader.",
        ),
        Term(
            "AUGRC",
            "Errors that remain, averaged over how many films are left to a reader. 0 is perfect; half the overall "
            "error is chance.",
            "Traub et al. 2024",
        ),
        Term("Pointing game", "How often a map's brightest point lies inside the marked region."),
        Term("Block", "One of the encoder's layers, counted from the film. Later blocks see larger parts of it."),
        Term("Insertion", "The film is uncovered from the map's brightest parts on: a good map raises the score soon."),
        Term("Deletion", "The film is covered from the map's brightest parts on: a good map lowers the score soon."),
    )
}
"""By the term in lower case."""


def hint(*names: str) -> str:
    """The definitions of terms, as Markdown for the (?) beside them."""
    return "  \n".join(f"**{TERMS[name].name}**: {definition(TERMS[name])}" for name in names)


def definition(term: Term) -> str:
    """A term's meaning with its source."""
    return f"{term.meaning} ({term.source})" if term.source else term.meaning
