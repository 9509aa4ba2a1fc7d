"""What laws and frameworks ask for, and under which point of the report evidence for it is looked for.

The words are short paraphrases for finding one's way, not the law; counsel confirms which of it applies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """One heading of a framework, in short words, and the points that answer it."""

    heading: str
    words: str
    points: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Framework:
    """A law, a piece of guidance or a convention. `note` says how it stands."""

    name: str
    note: str
    demands: tuple[Demand, ...]


FRAMEWORKS = (
    Framework(
        "SR 26-2 (with the headings of SR 11-7)",
        "Model risk guidance of the Federal Reserve (also OCC Bulletin 2026-13 and FIL-15-2026), in force since 17 "
        "April 2026; it supersedes SR 11-7, whose headings are named because files are kept under them. Mapped from "
        "secondary sources; to be compared with the letter itself.",
        (
            Demand("Model purpose and use (SR 11-7: development, implementation and use)",
                   "a clear purpose, and use within it", (2, 15)),
            Demand("Conceptual soundness (SR 11-7: evaluation of conceptual soundness)",
                   "design, theory, assumptions and data fit the purpose; alternatives were compared", (5, 6, 9)),
            Demand("Development evidence and testing (SR 11-7: model development)",
                   "tests of accuracy, stability and limits, with documents that let others follow", (4, 7, 13, 20)),
            Demand("Outcomes analysis (SR 11-7: outcomes analysis, back-testing)",
                   "results are compared with what happened", (7, 8, 13)),
            Demand("Ongoing monitoring (SR 11-7: ongoing monitoring)",
                   "performance, data and use are watched against limits", (13, 16)),
            Demand("Effective challenge (SR 11-7: effective challenge)",
                   "critical review by people who are independent of development", (18, 19)),
            Demand("Limitations and uncertainty (SR 11-7: model limitations)",
                   "known limits are stated and taken into account", (11, 14)),
            Demand("Governance and inventory (SR 11-7: governance, policies and controls)",
                   "tier, owner, roles, approvals and changes are on record", (1, 3, 17, 19)),
        ),
    ),
    Framework(
        "EU AI Act, Annex IV (technical documentation)",
        "Regulation (EU) 2024/1689. For systems of Annex III the duties apply from 2 December 2027, as moved by the "
        "Digital Omnibus; the documentation is kept for ten years (Article 18).",
        (
            Demand("1(a)", "intended purpose, provider, version and its relation to earlier ones", (1, 2, 17)),
            Demand("1(b) to 1(d)", "interaction with other systems, software versions, forms of delivery", (4, 13)),
            Demand("1(e)", "hardware on which it is meant to run", (4,)),
            Demand("1(h)", "instructions for use", (2, 15)),
            Demand("2(a)", "methods and steps of development, pre-trained parts", (4, 6)),
            Demand("2(b)", "design, rationale, assumptions, what is optimised, trade-offs", (6, 14)),
            Demand("2(c)", "architecture and computational resources", (4, 6)),
            Demand("2(d)", "data: provenance, scope, characteristics, labelling, cleaning", (5,)),
            Demand("2(e)", "assessment of human oversight, and means to interpret outputs", (10, 12, 15)),
            Demand("2(f)", "changes that are determined beforehand", (16, 17)),
            Demand("2(g)", "validation and testing: data, metrics, discriminatory impact, dated logs", (7, 8, 13)),
            Demand("2(h)", "cybersecurity measures", (18,)),
            Demand("3", "capabilities, limits, accuracy for groups, unintended outcomes, oversight", (7, 8, 14, 15)),
            Demand("4", "why the metrics are appropriate", (6, 7)),
            Demand("5", "the risk management system (Article 9)", (3, 14)),
            Demand("6", "relevant changes through the lifecycle", (17,)),
            Demand("9", "post-market monitoring (Article 72)", (16,)),
        ),
    ),
    Framework(
        "EU AI Act, Article 13(3) (instructions for use)",
        "Regulation (EU) 2024/1689, from the same date.",
        (
            Demand("(a)", "identity and contact of the provider", (1,)),
            Demand("(b)(i)", "intended purpose", (2,)),
            Demand("(b)(ii)", "accuracy with its metrics, robustness, security, and what may affect them", (7, 13)),
            Demand("(b)(iii)", "foreseeable use or misuse that leads to risks", (2, 14)),
            Demand("(b)(iv)", "technical means to explain the output", (9, 10, 11)),
            Demand("(b)(v)", "performance for specific persons or groups", (8,)),
            Demand("(b)(vi)", "input data, and training, validation and testing data", (5,)),
            Demand("(b)(vii)", "information to interpret the output and use it appropriately", (10, 12)),
            Demand("(c)", "changes that are determined beforehand", (16, 17)),
            Demand("(d)", "human oversight, with means to interpret outputs", (10, 15)),
            Demand("(e)", "resources needed, expected lifetime, maintenance", (4, 16)),
            Demand("(f)", "how logs are collected, stored and interpreted", (4, 16)),
        ),
    ),
    Framework(
        "NIST AI RMF 1.0 (AI 100-1)",
        "Voluntary. Only subcategories that a report on one model can give evidence for.",
        (
            Demand("GOVERN 1.1", "legal and regulatory requirements are understood", (3, 14)),
            Demand("GOVERN 1.6", "systems are inventoried by risk", (1, 3)),
            Demand("MAP 1.1", "intended purpose, users and context are documented", (2,)),
            Demand("MAP 1.5, 1.6", "risk tolerance and requirements are documented", (3, 7)),
            Demand("MAP 2.1, 2.3", "task, method, data and their soundness are documented", (5, 6)),
            Demand("MAP 3.5", "human oversight is defined", (15,)),
            Demand("MAP 5.1", "impacts are identified with likelihood and magnitude", (14,)),
            Demand("MEASURE 1.3", "people who did not develop it take part in the assessment", (18, 19)),
            Demand("MEASURE 2.1, 2.3", "tests, metrics and performance are documented", (7, 20)),
            Demand("MEASURE 2.4", "behaviour in production is monitored", (13, 16)),
            Demand("MEASURE 2.5", "validity and reliability are shown, with limits of generalisation", (7, 13, 14)),
            Demand("MEASURE 2.9", "the model is explained, validated and documented, its output interpreted in context",
                   (9, 10, 11, 12)),
            Demand("MEASURE 2.11", "fairness and bias are evaluated", (8,)),
            Demand("MANAGE 1.1", "a decision whether it may go on is on record", (19,)),
            Demand("MANAGE 2.4", "it can be superseded, disengaged or deactivated", (15,)),
            Demand("MANAGE 4.1", "plans for monitoring after deployment, with appeal and override", (15, 16)),
        ),
    ),
    Framework(
        "Regulation B (ECOA), 12 CFR 1002",
        "With CFPB Circulars 2022-03 and 2023-03. Attributions are evidence for reasons, not the notice itself.",
        (
            Demand("1002.2(p)", "an empirically derived, demonstrably and statistically sound credit scoring system",
                   (5, 6, 7, 13)),
            Demand("1002.4(a), 1002.6(b)", "no discrimination on a prohibited basis; what may be used", (5, 8)),
            Demand("1002.9(b)(2) and its commentary", "specific principal reasons, not more than four as a rule",
                   (10, 12)),
            Demand("Circulars 2022-03, 2023-03", "reasons are specific and accurate, however complex the model is",
                   (11, 12)),
            Demand("1002.12(b)", "records are kept", (4, 19)),
        ),
    ),
    Framework(
        "Model cards (Mitchell and others, 2019)",
        "A convention of the field; the card itself is a product of phase 11.",
        (
            Demand("Model details", "who, what, which version, licence, contact", (1,)),
            Demand("Intended use", "uses, users, out of scope", (2,)),
            Demand("Factors", "groups, instruments, environments", (8,)),
            Demand("Metrics", "measures, thresholds, how uncertainty is told", (7,)),
            Demand("Evaluation data", "which, why, how prepared", (5, 7)),
            Demand("Training data", "the same", (5,)),
            Demand("Quantitative analyses", "unitary and intersectional results", (7, 8)),
            Demand("Ethical considerations", "risks, harms, mitigations", (14,)),
            Demand("Caveats and recommendations", "what else a user should know", (13, 14)),
        ),
    ),
    Framework(
        "Datasheets for datasets (Gebru and others, 2021)",
        "A convention of the field; the sheet itself is a product of phase 11.",
        (
            Demand("Motivation", "why it was made, and with whose money", (5,)),
            Demand("Composition", "what instances are, how many, which labels, what is sensitive", (5, 8)),
            Demand("Collection process", "how it was acquired, from whom, with which consent", (5,)),
            Demand("Preprocessing, cleaning, labelling", "what was done to it", (5,)),
            Demand("Uses", "what it has been and should not be used for", (2, 5)),
            Demand("Distribution", "to whom, under which licence", (5,)),
            Demand("Maintenance", "who corrects it, and how", (5,)),
        ),
    ),
    Framework(
        "21 CFR Part 11 (electronic records and signatures)",
        "For the records of the review themselves, where they are kept under predicate rules. Whether the system "
        "around them is validated, and who may reach it, is outside of what this report can see.",
        (
            Demand("11.10(a)", "validation: altered records can be discerned", (4, 20)),
            Demand("11.10(b)", "accurate and complete copies that people can read", (4, 20)),
            Demand("11.10(e)", "time-stamped audit trail that does not obscure earlier entries", (18, 19)),
            Demand("11.10(g)", "authority checks: only who may sign signs", (19,)),
            Demand("11.10(k)", "change control over documents", (17,)),
            Demand("11.50", "a signature shows name, date and time, and its meaning", (19,)),
            Demand("11.70", "a signature is linked to its record and cannot be moved", (19,)),
            Demand("11.100, 11.200", "a signature belongs to one person and is made by them alone", (19,)),
        ),
    ),
)  # fmt: skip
