"""What laws and frameworks ask for, and under which point of the report evidence for it is looked for.

The words are short paraphrases for finding one's way, not the law; counsel confirms which of it applies.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """One heading of a framework, in short words, and the points under which to look.

    `evidence` names what counts as evidence for it: places of products, as `phase/product/place`, or the start of
    one. Without any, no product of a pipeline is evidence, and the table says none.
    """

    heading: str
    words: str
    points: tuple[int, ...]
    evidence: tuple[str, ...]


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
                   "a clear purpose, and use within it", (2, 15),
                   ("01_scoping/requirements",)),
            Demand("Conceptual soundness (SR 11-7: evaluation of conceptual soundness)",
                   "design, theory, assumptions and data fit the purpose; alternatives were compared", (5, 6, 9),
                   ("04_features", "06_training/candidates", "06_training/champion", "06_training/explanation")),
            Demand("Development evidence and testing (SR 11-7: model development)",
                   "tests of accuracy, stability and limits, with documents that let others follow", (4, 7, 13, 20),
                   ("nbproof/record", "06_training/metrics")),
            Demand("Outcomes analysis (SR 11-7: outcomes analysis, back-testing)",
                   "results are compared with what happened", (7, 8, 13),
                   ("06_training/metrics/metrics", "10_monitoring/drift/windows")),
            Demand("Ongoing monitoring (SR 11-7: ongoing monitoring)",
                   "performance, data and use are watched against limits", (13, 16),
                   ("10_monitoring",)),
            Demand("Effective challenge (SR 11-7: effective challenge)",
                   "critical review by people who are independent of development", (18, 19),
                   ("people/answers/challenge", "nbproof/review/decisions")),
            Demand("Limitations and uncertainty (SR 11-7: model limitations)",
                   "known limits are stated and taken into account", (11, 14),
                   ("02_data_audit/quality/findings", "06_training/explanation", "people/answers/residual-risk")),
            Demand("Governance and inventory (SR 11-7: governance, policies and controls)",
                   "tier, owner, roles, approvals and changes are on record", (1, 3, 17, 19),
                   ("01_scoping/requirements/materiality", "01_scoping/requirements/owners", "07_registration")),
        ),
    ),
    Framework(
        "EU AI Act, Annex IV (technical documentation)",
        "Regulation (EU) 2024/1689. For systems of Annex III the duties apply from 2 December 2027, as moved by the "
        "Digital Omnibus; the documentation is kept for ten years (Article 18).",
        (
            Demand("1(a)", "intended purpose, provider, version and its relation to earlier ones", (1, 2, 17),
                   ("01_scoping/requirements/intended_use", "07_registration")),
            Demand("1(b) to 1(d)", "interaction with other systems, software versions, forms of delivery", (4, 13),
                   ("03_environment",)),
            Demand("1(e)", "hardware on which it is meant to run", (4,),
                   ()),
            Demand("1(h)", "instructions for use", (2, 15),
                   ()),
            Demand("2(a)", "methods and steps of development, pre-trained parts", (4, 6),
                   ("nbproof/record", "06_training/candidates")),
            Demand("2(b)", "design, rationale, assumptions, what is optimised, trade-offs", (6, 14),
                   ("06_training/champion", "people/answers/assumptions")),
            Demand("2(c)", "architecture and computational resources", (4, 6),
                   ("06_training/champion/parameters",)),
            Demand("2(d)", "data: provenance, scope, characteristics, labelling, cleaning", (5,),
                   ("02_data_audit",)),
            Demand("2(e)", "assessment of human oversight, and means to interpret outputs", (10, 12, 15),
                   ("06_training/explanation", "people/answers/override")),
            Demand("2(f)", "changes that are determined beforehand", (16, 17),
                   ("10_monitoring/retraining",)),
            Demand("2(g)", "validation and testing: data, metrics, discriminatory impact, dated logs", (7, 8, 13),
                   ("06_training/metrics",)),
            Demand("2(h)", "cybersecurity measures", (18,),
                   ()),
            Demand("3", "capabilities, limits, accuracy for groups, unintended outcomes, oversight", (7, 8, 14, 15),
                   ("06_training/metrics",)),
            Demand("4", "why the metrics are appropriate", (6, 7),
                   ("06_training/metrics/thresholds",)),
            Demand("5", "the risk management system (Article 9)", (3, 14),
                   ()),
            Demand("6", "relevant changes through the lifecycle", (17,),
                   ("07_registration/registration/change", "nbproof/review/changes")),
            Demand("9", "post-market monitoring (Article 72)", (16,),
                   ("10_monitoring",)),
        ),
    ),
    Framework(
        "EU AI Act, Article 13(3) (instructions for use)",
        "Regulation (EU) 2024/1689, from the same date.",
        (
            Demand("(a)", "identity and contact of the provider", (1,),
                   ("people/answers/provider",)),
            Demand("(b)(i)", "intended purpose", (2,),
                   ("01_scoping/requirements/intended_use",)),
            Demand("(b)(ii)", "accuracy with its metrics, robustness, security, and what may affect them", (7, 13),
                   ("06_training/metrics",)),
            Demand("(b)(iii)", "foreseeable use or misuse that leads to risks", (2, 14),
                   ("01_scoping/requirements/out_of_scope", "people/answers/misuse")),
            Demand("(b)(iv)", "technical means to explain the output", (9, 10, 11),
                   ("06_training/explanation",)),
            Demand("(b)(v)", "performance for specific persons or groups", (8,),
                   ("06_training/metrics/slices", "06_training/metrics/fairness")),
            Demand("(b)(vi)", "input data, and training, validation and testing data", (5,),
                   ("02_data_audit", "04_features")),
            Demand("(b)(vii)", "information to interpret the output and use it appropriately", (10, 12),
                   ("06_training/explanation/beside",)),
            Demand("(c)", "changes that are determined beforehand", (16, 17),
                   ("10_monitoring/retraining",)),
            Demand("(d)", "human oversight, with means to interpret outputs", (10, 15),
                   ("people/answers/override", "06_training/explanation/beside")),
            Demand("(e)", "resources needed, expected lifetime, maintenance", (4, 16),
                   ()),
            Demand("(f)", "how logs are collected, stored and interpreted", (4, 16),
                   ()),
        ),
    ),
    Framework(
        "NIST AI RMF 1.0 (AI 100-1)",
        "Voluntary. Only subcategories that a report on one model can give evidence for.",
        (
            Demand("GOVERN 1.1", "legal and regulatory requirements are understood", (3, 14),
                   ("01_scoping/applicability",)),
            Demand("GOVERN 1.6", "systems are inventoried by risk", (1, 3),
                   ("01_scoping/requirements/materiality", "07_registration")),
            Demand("MAP 1.1", "intended purpose, users and context are documented", (2,),
                   ("01_scoping/requirements/intended_use",)),
            Demand("MAP 1.5, 1.6", "risk tolerance and requirements are documented", (3, 7),
                   ("01_scoping/requirements/risk_tolerance", "01_scoping/requirements/verdict_rule")),
            Demand("MAP 2.1, 2.3", "task, method, data and their soundness are documented", (5, 6),
                   ("02_data_audit", "06_training/champion")),
            Demand("MAP 3.5", "human oversight is defined", (15,),
                   ("01_scoping/requirements/decision", "people/answers/override")),
            Demand("MAP 5.1", "impacts are identified with likelihood and magnitude", (14,),
                   ("people/answers/impact",)),
            Demand("MEASURE 1.3", "people who did not develop it take part in the assessment", (18, 19),
                   ("people/answers/challenge", "nbproof/review/decisions")),
            Demand("MEASURE 2.1, 2.3", "tests, metrics and performance are documented", (7, 20),
                   ("06_training/metrics",)),
            Demand("MEASURE 2.4", "behaviour in production is monitored", (13, 16),
                   ("10_monitoring",)),
            Demand("MEASURE 2.5", "validity and reliability are shown, with limits of generalisation", (7, 13, 14),
                   ("06_training/metrics", "10_monitoring/drift/windows")),
            Demand("MEASURE 2.9", "the model is explained, validated and documented, its output interpreted in context",
                   (9, 10, 11, 12),
                   ("06_training/explanation",)),
            Demand("MEASURE 2.11", "fairness and bias are evaluated", (8,),
                   ("06_training/metrics/slices", "06_training/metrics/fairness")),
            Demand("MANAGE 1.1", "a decision whether it may go on is on record", (19,),
                   ("nbproof/review/decisions",)),
            Demand("MANAGE 2.4", "it can be superseded, disengaged or deactivated", (15,),
                   ("people/answers/disengage",)),
            Demand("MANAGE 4.1", "plans for monitoring after deployment, with appeal and override", (15, 16),
                   ("10_monitoring", "people/answers/override")),
        ),
    ),
    Framework(
        "Regulation B (ECOA), 12 CFR 1002",
        "With CFPB Circulars 2022-03 and 2023-03. Attributions are evidence for reasons, not the notice itself.",
        (
            Demand("1002.2(p)", "an empirically derived, demonstrably and statistically sound credit scoring system",
                   (5, 6, 7, 13),
                   ("06_training/metrics",)),
            Demand("1002.4(a), 1002.6(b)", "no discrimination on a prohibited basis; what may be used", (5, 8),
                   ("01_scoping/requirements/protected_attributes", "06_training/metrics/fairness")),
            Demand("1002.9(b)(2) and its commentary", "specific principal reasons, not more than four as a rule",
                   (10, 12),
                   ("06_training/explanation/beside/cases",)),
            Demand("Circulars 2022-03, 2023-03", "reasons are specific and accurate, however complex the model is",
                   (11, 12),
                   ("06_training/explanation/beside/cases", "06_training/explanation/audit")),
            Demand("1002.12(b)", "records are kept", (4, 19),
                   ("nbproof/record",)),
        ),
    ),
    Framework(
        "Model cards (Mitchell and others, 2019)",
        "A convention of the field; the card itself is a product of phase 11.",
        (
            Demand("Model details", "who, what, which version, licence, contact", (1,),
                   ("07_registration",)),
            Demand("Intended use", "uses, users, out of scope", (2,),
                   ("01_scoping/requirements/intended_use",)),
            Demand("Factors", "groups, instruments, environments", (8,),
                   ("06_training/metrics/slices",)),
            Demand("Metrics", "measures, thresholds, how uncertainty is told", (7,),
                   ("06_training/metrics/thresholds",)),
            Demand("Evaluation data", "which, why, how prepared", (5, 7),
                   ("04_features/features/splits",)),
            Demand("Training data", "the same", (5,),
                   ("02_data_audit/data_catalog/sources",)),
            Demand("Quantitative analyses", "unitary and intersectional results", (7, 8),
                   ("06_training/metrics/metrics",)),
            Demand("Ethical considerations", "risks, harms, mitigations", (14,),
                   ("people/answers/impact", "people/answers/residual-risk")),
            Demand("Caveats and recommendations", "what else a user should know", (13, 14),
                   ("10_monitoring/drift", "02_data_audit/data_catalog/label")),
        ),
    ),
    Framework(
        "Datasheets for datasets (Gebru and others, 2021)",
        "A convention of the field; the sheet itself is a product of phase 11.",
        (
            Demand("Motivation", "why it was made, and with whose money", (5,),
                   ("people/answers/data-origin",)),
            Demand("Composition", "what instances are, how many, which labels, what is sensitive", (5, 8),
                   ("02_data_audit/data_catalog", "02_data_audit/quality")),
            Demand("Collection process", "how it was acquired, from whom, with which consent", (5,),
                   ("02_data_audit/data_catalog/sources", "people/answers/data-consent")),
            Demand("Preprocessing, cleaning, labelling", "what was done to it", (5,),
                   ("02_data_audit/quality/findings", "04_features")),
            Demand("Uses", "what it has been and should not be used for", (2, 5),
                   ("01_scoping/requirements/out_of_scope", "01_scoping/requirements/intended_use")),
            Demand("Distribution", "to whom, under which licence", (5,),
                   ("02_data_audit/data_catalog/sources",)),
            Demand("Maintenance", "who corrects it, and how", (5,),
                   ("people/answers/data-maintenance",)),
        ),
    ),
    Framework(
        "21 CFR Part 11 (electronic records and signatures)",
        "For the records of the review themselves, where they are kept under predicate rules. Whether the system "
        "around them is validated, and who may reach it, is outside of what this report can see.",
        (
            Demand("11.10(a)", "validation: altered records can be discerned", (4, 20),
                   ("nbproof/record",)),
            Demand("11.10(b)", "accurate and complete copies that people can read", (4, 20),
                   ("nbproof/record",)),
            Demand("11.10(e)", "time-stamped audit trail that does not obscure earlier entries", (18, 19),
                   ("nbproof/review/ledger",)),
            Demand("11.10(g)", "authority checks: only who may sign signs", (19,),
                   ("nbproof/review/decisions",)),
            Demand("11.10(k)", "change control over documents", (17,),
                   ("nbproof/review/changes", "nbproof/review/ledger")),
            Demand("11.50", "a signature shows name, date and time, and its meaning", (19,),
                   ("nbproof/review/decisions",)),
            Demand("11.70", "a signature is linked to its record and cannot be moved", (19,),
                   ("nbproof/review/decisions",)),
            Demand("11.100, 11.200", "a signature belongs to one person and is made by them alone", (19,),
                   ("nbproof/review/decisions",)),
        ),
    ),
)  # fmt: skip
