"""The tables of the shop."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


def _id() -> tuple[str, models.Field]:
    return "id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")


class Migration(migrations.Migration):
    initial = True
    dependencies: ClassVar[list[tuple[str, str]]] = []
    operations: ClassVar = [
        migrations.CreateModel("Tag", [_id(), ("name", models.CharField(max_length=50))]),
        migrations.CreateModel(
            "Customer",
            [_id(), ("name", models.CharField(max_length=50, unique=True))],
            options={"db_table": "People who buy"},
        ),
        migrations.CreateModel(
            "Order",
            [
                _id(),
                ("made_at", models.DateTimeField(auto_now_add=True)),
                ("customer", models.ForeignKey("django_shop.customer", models.CASCADE)),
                ("tags", models.ManyToManyField("django_shop.tag")),
            ],
        ),
    ]
