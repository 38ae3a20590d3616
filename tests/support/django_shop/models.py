# ruff: noqa: DJ008  nobody prints these models
"""Models with what Django makes tables of: relations, inheritance, a proxy, a table with a name of its own."""

from __future__ import annotations

from django.db import models

__all__ = ["Customer", "Gift", "Late", "Order", "Tag"]


class Tag(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "django_shop"


class Customer(models.Model):
    name = models.CharField(max_length=50, unique=True)

    class Meta:
        app_label = "django_shop"
        db_table = "People who buy"


class Order(models.Model):
    customer = models.ForeignKey(Customer, models.CASCADE)
    made_at = models.DateTimeField(auto_now_add=True)
    tags = models.ManyToManyField(Tag)

    class Meta:
        app_label = "django_shop"


class Gift(Order):
    wish = models.CharField(max_length=50)

    class Meta:
        app_label = "django_shop"


class Late(Order):
    class Meta:
        app_label = "django_shop"
        proxy = True
