"""Flask, as a tutorial writes it."""

from __future__ import annotations

from typing import Any

from flask import Flask, request

from bench.peers.model import PORT, Model, answer_of, arrays_of, as_list

app = Flask(__name__)
model = Model()


@app.route("/predict", methods=["POST"])
def predict() -> dict[str, Any]:
    return answer_of(model.run(arrays_of(request.get_json())), as_list)


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=PORT, threaded=True)
