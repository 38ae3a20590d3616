// The types of a dashboard's JSON, made from those of @grafana/schema: what Grafana itself is built with.

import type { DataQuery } from "@grafana/schema";
import type * as heatmap from "@grafana/schema/dist/esm/raw/composable/heatmap/panelcfg/x/HeatmapPanelCfg_types.gen";
import type * as stat from "@grafana/schema/dist/esm/raw/composable/stat/panelcfg/x/StatPanelCfg_types.gen";
import type * as table from "@grafana/schema/dist/esm/raw/composable/table/panelcfg/x/TablePanelCfg_types.gen";
import type * as text from "@grafana/schema/dist/esm/raw/composable/text/panelcfg/x/TextPanelCfg_types.gen";
import type * as timeseries from "@grafana/schema/dist/esm/raw/composable/timeseries/panelcfg/x/TimeSeriesPanelCfg_types.gen";
import type * as raw from "@grafana/schema/dist/esm/raw/dashboard/x/Dashboard_types.gen";

// In JSON a member of an enumeration is its text.
type Json<T> = unknown extends T
  ? T
  : T extends string
    ? `${T}`
    : T extends object
      ? { [Name in keyof T]: Json<T[Name]> }
      : T;

// Of the data source for Prometheus, whose types are in no package of their own.
type Target = Json<DataQuery> & {
  expr: string;
  legendFormat: string;
  interval: string;
  exemplar: boolean;
  instant: boolean;
  range: boolean;
  format: "time_series" | "table" | "heatmap";
};

type Field = Json<raw.FieldConfig>;
type Drawn<Type, Options, Custom> = Omit<Json<raw.Panel>, "type" | "options" | "fieldConfig" | "targets"> & {
  type: Type;
  options: Json<Options>;
  targets: Target[];
  fieldConfig: Omit<Json<raw.FieldConfigSource>, "defaults"> & {
    defaults: Omit<Field, "custom"> & { custom?: Json<Custom> };
  };
};

type AnyPanel =
  | Drawn<"timeseries", timeseries.Options, timeseries.FieldConfig>
  | Drawn<"stat", stat.Options, never>
  | Drawn<"heatmap", heatmap.Options, heatmap.FieldConfig>
  | Drawn<"table", table.Options, table.FieldConfig>
  | (Omit<Json<raw.Panel>, "type" | "options"> & { type: "text"; options: Json<text.Options> });

type Annotation = Json<raw.AnnotationQuery> & { expr: string; titleFormat: string; tagKeys: string };

export type Exported = Omit<Json<raw.Dashboard>, "panels" | "annotations"> & {
  annotations: { list: Annotation[] };
  panels: (AnyPanel | (Omit<Json<raw.RowPanel>, "panels"> & { panels: AnyPanel[] }))[];
};
