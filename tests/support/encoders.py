"""A small encoder of transformers, taught."""

from __future__ import annotations

from typing import Any


def taught_encoder(images: Any, labels: Any, *, epochs: int = 30) -> Any:
    """A BERT of two layers and four heads over the eight lines of a digit, float32 [n, 64] to ten scores."""
    import torch  # noqa: PLC0415 (heavy)
    from transformers import BertConfig, BertModel  # noqa: PLC0415 (heavy)

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=2,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=8,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        attn_implementation="eager",
    )

    class Reader(torch.nn.Module):  # type: ignore[misc]  # torch has no types here
        def __init__(self) -> None:
            super().__init__()
            self.line = torch.nn.Linear(8, 32)
            self.inner = BertModel(config, add_pooling_layer=False)
            self.head = torch.nn.Linear(32, 10)

        def forward(self, x: Any) -> Any:
            lines = self.line(x.reshape(-1, 8, 8))
            return torch.softmax(self.head(self.inner(inputs_embeds=lines).last_hidden_state.mean(1)), 1)

    model = Reader()
    x, y = torch.tensor(images), torch.tensor(labels)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    steps = -(-len(x) // 64)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, epochs=epochs, steps_per_epoch=steps)
    for _ in range(epochs):
        for rows in torch.randperm(len(x)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.nll_loss(torch.log(model(x[rows]) + 1e-9), y[rows]).backward()
            optimiser.step()
            pace.step()
    return model.eval()
