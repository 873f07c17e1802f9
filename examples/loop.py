"""A training loop of your own in plain PyTorch: python examples/loop.py

``aelab.fit`` is such a loop. What it adds: the same bits for the same seed, the learning-rate
schedule, records of every term, and states to resume from.
"""

import torch

import aelab

if __name__ == "__main__":
    data = aelab.load_data("bundled")
    model = aelab.preset("quick").build("vae-16")
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    generator = torch.Generator().manual_seed(0)
    images = torch.from_numpy(data.train.images)
    for epoch in range(3):
        model.train()
        for index in torch.randperm(len(images), generator=generator).split(64):
            batch = aelab.Batch(images[index].float() / 255)
            loss = model.loss(batch, generator, epoch)
            optimizer.zero_grad()
            loss.total.backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            x = torch.from_numpy(data.validation.images).float() / 255
            loss = model.loss(aelab.Batch(x), generator, epoch)
        terms = ", ".join(f"{name} {value.mean():.1f}" for name, value in loss.terms.items())
        print(f"epoch {epoch + 1}: {terms} nats per validation image")
