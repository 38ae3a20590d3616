"""A later migration, which a deployment may lack."""

from __future__ import annotations

from typing import ClassVar

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies: ClassVar = [("django_shop", "0001_initial")]
    operations: ClassVar = [
        migrations.CreateModel(
            "Gift",
            [
                (
                    "order_ptr",
                    models.OneToOneField(
                        "django_shop.order",
                        models.CASCADE,
                        auto_created=True,
                        parent_link=True,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("wish", models.CharField(max_length=50)),
            ],
            bases=("django_shop.order",),
        ),
        migrations.CreateModel("Late", [], options={"proxy": True}, bases=("django_shop.order",)),
    ]
