"""The paths of the shop."""

from django.urls import path

from .views import product

urlpatterns = [path("products/<slug:name>", product)]
