"""The search for better parameters: Optuna proposes, the contest judges, the clock decides when to end."""

from __future__ import annotations

import warnings
from typing import Any

from forebay.core.extras import need
from forebay.workshop.train.contest import Contest
from forebay.workshop.train.estimators import Estimator, Range
from forebay.workshop.train.scores import better
from forebay.workshop.train.trials import DONE, PRUNED, Candidate

_MOST_TRIALS = 500
_TIRED = 8
_STARTUP = 6


def search(contest: Contest, offered: list[Estimator], start: float) -> None:
    """Try parameters until the time budget is used up; *start* is the progress at which it begins.

    What was tried before, as it is or before a restart, teaches the sampler; so a search that was
    killed goes on where it was. Half-way results that are worse than the median of the others' end a trial.
    """
    by_name = {one.name: one for one in offered if one.space and not _hopeless(contest, one)}
    if not by_name:
        return
    study = _study(contest, by_name)
    total = contest.recipe.time_budget_s or 1.0
    refused = 0
    while contest.left_s > 0 and refused < _TIRED and len(contest.trials.candidates) < _MOST_TRIALS:
        trial = study.ask()
        estimator = by_name[trial.suggest_categorical("estimator", list(by_name))]
        params = {name: _suggested(trial, estimator.name, name, one) for name, one in estimator.space.items()}
        done = start + (1 - start) * (1 - contest.left_s / total)
        late = _usual_s(contest, estimator) > contest.left_s
        made = None if late else contest.run(estimator, params, (min(done, 1.0), 0.0), _judge(trial, contest))
        refused = refused + 1 if made is None else 0
        _tell(study, trial, made, contest)


def _hopeless(contest: Contest, estimator: Estimator) -> bool:
    """Whether one more trial would not end in time, by how long it took as it is."""
    took = [one.seconds for one in contest.trials.candidates if one.estimator == estimator.name]
    return not took or min(took) > contest.left_s


def _usual_s(contest: Contest, estimator: Estimator) -> float:
    """How long a trial of *estimator* takes: many fit in one go, which nothing can cut short."""
    took = [one.seconds for one in contest.trials.done() if one.estimator == estimator.name]
    return sum(took) / len(took) if took else 0.0


def _study(contest: Contest, by_name: dict[str, Estimator]) -> Any:
    optuna = need("optuna", "search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = contest.recipe.seed + len(contest.trials.candidates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the sampler's options are called experimental
        sampler = optuna.samplers.TPESampler(
            seed=seed, multivariate=True, group=True, n_startup_trials=_STARTUP
        )
    directions = ["maximize"] + ["minimize"] * len(contest.recipe.objectives)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=_STARTUP)
    study = optuna.create_study(directions=directions, sampler=sampler, pruner=pruner)
    for candidate in contest.trials.candidates:
        if candidate.estimator in by_name and candidate.state in (DONE, PRUNED):
            study.add_trial(_known(optuna, candidate, by_name, contest))
    return study


def _known(optuna: Any, candidate: Candidate, by_name: dict[str, Estimator], contest: Contest) -> Any:
    """A trial of before, as Optuna keeps it."""
    space = by_name[candidate.estimator].space
    distributions = {"estimator": optuna.distributions.CategoricalDistribution(list(by_name))}
    params: dict[str, Any] = {"estimator": candidate.estimator}
    for name, value in candidate.params.items():
        params[f"{candidate.estimator}.{name}"] = value
        distributions[f"{candidate.estimator}.{name}"] = _distribution(optuna, space[name])
    done = candidate.state == DONE
    states = optuna.trial.TrialState
    return optuna.trial.create_trial(
        params=params,
        distributions=distributions,
        values=_values(candidate, contest) if done else None,
        intermediate_values=_halfway(candidate, contest),
        state=states.COMPLETE if done else states.FAIL if contest.recipe.objectives else states.PRUNED,
    )


def _distribution(optuna: Any, one: Range | tuple[Any, ...]) -> Any:
    if not isinstance(one, Range):
        return optuna.distributions.CategoricalDistribution(one)
    if one.whole:
        return optuna.distributions.IntDistribution(int(one.low), int(one.high), log=one.log)
    return optuna.distributions.FloatDistribution(one.low, one.high, log=one.log)


def _suggested(trial: Any, estimator: str, name: str, one: Range | tuple[Any, ...]) -> Any:
    name = f"{estimator}.{name}"
    if not isinstance(one, Range):
        return trial.suggest_categorical(name, one)
    if one.whole:
        return trial.suggest_int(name, int(one.low), int(one.high), log=one.log)
    return trial.suggest_float(name, one.low, one.high, log=one.log)


def _judge(trial: Any, contest: Contest) -> Any:
    """Gives a trial up by what Optuna thinks of it; with several objectives Optuna gives nobody up."""
    if contest.recipe.objectives:
        return lambda _fold, _score: False

    def given_up(fold: int, score: float) -> bool:
        trial.report(score, fold)
        return bool(trial.should_prune())

    return given_up


def _tell(study: Any, trial: Any, made: Candidate | None, contest: Contest) -> None:
    states = need("optuna", "search").trial.TrialState
    if made is not None and made.state == DONE:
        study.tell(trial, _values(made, contest))
    elif made is not None and made.state == PRUNED:
        study.tell(trial, state=states.PRUNED)
    else:
        study.tell(trial, state=states.FAIL)


def _values(candidate: Candidate, contest: Contest) -> list[float]:
    costs = {"latency": candidate.latency_ms or 0.0, "size": float(candidate.size_bytes or 0)}
    score = better(contest.metric, candidate.mean[contest.metric])
    return [score, *(costs[objective] for objective in contest.recipe.objectives)]


def _halfway(candidate: Candidate, contest: Contest) -> dict[int, float]:
    """The mean after each fold, as it was reported."""
    seen = [better(contest.metric, value) for value in candidate.by_fold]
    return {fold: sum(seen[: fold + 1]) / (fold + 1) for fold in range(len(seen))}
