/** The answers of the API, as far as the page reads them (docs/api.md, `/openapi.json`). Costs are in the currency of `/model/getConfigs`. */

export interface WindowJson {
  start: string | null;
  end: string | null;
}

export interface Properties {
  cluster?: string;
  node?: string;
  namespace?: string;
  controller?: string;
  controllerKind?: string;
  pod?: string;
  container?: string;
  providerID?: string;
  services?: string[];
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

/** An item of `/model/allocation/summary`. Costs include their adjustments. */
export interface Summary {
  name: string;
  start: string | null;
  end: string | null;
  cpuCost: number;
  gpuCost: number;
  ramCost: number;
  pvCost: number;
  networkCost: number;
  loadBalancerCost: number;
  sharedCost: number;
  externalCost: number;
  totalEfficiency: number;
  totalCost: number;
}

/** An item of `/model/allocation`. Costs are without their adjustments, but for `totalCost`. */
export interface Allocation extends Summary {
  properties: Properties;
  window: WindowJson;
  minutes: number;
  cpuCores: number;
  cpuCoreRequestAverage: number;
  cpuCoreUsageAverage: number;
  cpuCoreHours: number;
  cpuCostAdjustment: number;
  cpuCostIdle: number;
  cpuEfficiency: number;
  gpuCount: number;
  gpuRequestAverage: number;
  gpuUsageAverage: number;
  gpuHours: number;
  gpuCostAdjustment: number;
  gpuCostIdle: number;
  gpuEfficiency: number;
  ramBytes: number;
  ramByteRequestAverage: number;
  ramByteUsageAverage: number;
  ramByteHours: number;
  ramCostAdjustment: number;
  ramCostIdle: number;
  ramEfficiency: number;
  pvBytes: number;
  pvByteHours: number;
  pvCostAdjustment: number;
  pvs: Record<string, { byteHours: number; cost: number }> | null;
  networkTransferBytes: number;
  networkReceiveBytes: number;
  networkCrossZoneCost: number;
  networkCrossRegionCost: number;
  networkInternetCost: number;
  networkCostAdjustment: number;
  loadBalancerCostAdjustment: number;
  lbAllocations: Record<string, { service: string; cost: number }> | null;
}

export interface SummarySets {
  sets: { allocations: Record<string, Summary>; window: WindowJson }[];
  window: WindowJson;
}

export interface AllocationTopline {
  /** Idle items are counted too. */
  numResults: number;
  combined: { allocations: { total: Summary }; window: WindowJson };
}

/** Parts of one. */
export interface Breakdown {
  idle: number;
  other: number;
  system: number;
  user: number;
}

export interface Asset {
  /** Absent where members of several types are added up. */
  type?: string;
  properties: Partial<
    Record<
      "account" | "category" | "cluster" | "name" | "project" | "provider" | "providerID" | "service",
      string
    >
  >;
  labels?: Record<string, string>;
  window: WindowJson;
  start: string;
  end: string;
  minutes: number;
  adjustment?: number;
  totalCost: number;
  // Of nodes
  nodeType?: string;
  cpuCores?: number;
  cpuCoreHours?: number;
  ramBytes?: number;
  ramByteHours?: number;
  gpuCount?: number;
  GPUHours?: number;
  cpuCost?: number;
  ramCost?: number;
  gpuCost?: number;
  discount?: number;
  preemptible?: number;
  cpuBreakdown?: Breakdown;
  ramBreakdown?: Breakdown;
  overhead?: {
    CpuOverheadFraction: number;
    OverheadCostFraction: number;
    RamOverheadFraction: number;
  } | null;
  // Of disks
  bytes?: number;
  byteHours?: number;
  byteHoursUsed?: number | null;
  byteUsageMax?: number | null;
  breakdown?: Breakdown;
  storageClass?: string;
  volumeName?: string;
  claimName?: string;
  claimNamespace?: string;
  // Of load balancers
  ip?: string;
  private?: boolean;
}

export interface AssetTopline {
  totalCost: number;
  adjustment: number;
  numResults: number;
}

export interface Cluster {
  id: string;
  name: string;
  provider: string;
  account: string;
  project: string;
  region: string;
  /** First instant of its first window. */
  firstWindow: string | null;
  /** One past the last instant of its last window. */
  lastWindow: string | null;
  /** When a file of it was last written. */
  lastUpload: string | null;
  /** Rows of allocations and assets. */
  rows: number;
  /** Files that cannot be read. */
  filesSetAside: number;
}

export interface Status {
  ready: boolean;
  reasons: string[];
  release: { number: number; published: string | null; loaded: string | null } | null;
  ingest: {
    state: string;
    cycle: number;
    cycleStarted: string | null;
    cycleEnded: string | null;
    nextCycle: string | null;
    lastError: string | null;
    progress: {
      filesFound: number;
      filesToRead: number;
      filesRead: number;
      filesFailed: number;
      bytesToRead: number;
      bytesRead: number;
      rows: number;
      partitionsToWrite: number;
      partitionsWritten: number;
    } | null;
  } | null;
  ingestError: string | null;
  /** Minutes by which the server's days begin before those of UTC. */
  utcOffsetMinutes?: number;
}

/** How a pipeline of a cluster is. */
export interface PipelineHealth {
  /** Whether the last window is the current one, or the one before it. */
  fresh: boolean;
  complete: boolean;
  freeOfErrors: boolean;
  windows: number;
  missingWindows: number;
  filesSetAside: number;
  lastWindow: string | null;
  lastUpload: string | null;
}

export interface ClusterHealth {
  healthy: boolean;
  /** By pipeline and resolution, such as `allocations/1d`. */
  pipelines: Record<string, PipelineHealth>;
}

export interface MultiCluster {
  overview: { clusters: number; healthy: number; stale: number; incomplete: number; withErrors: number };
  clusters: Record<string, ClusterHealth>;
}

/** A file that ingest knows. */
export interface IngestionRecord {
  path: string;
  cluster: string;
  size: number;
  lastModified: string | null;
  error: string | null;
}

/** A view that is kept at the gateway. */
export interface SavedView {
  /** What it is called, which is unique. */
  name: string;
  /** What follows `?` in the page's address. */
  query: string;
}

export interface SavedViews {
  /** Why views cannot be kept; null when they can. */
  unavailable: string | null;
  views: SavedView[];
}

/** Who asks, and how people are known. */
export interface Who {
  mode: "open" | "oidc" | "trusted-header" | "tokens";
  /** Where to be signed in, if the gateway does that. */
  signIn: string | null;
  /** Where to be signed out, if that can be. */
  signOut: string | null;
  user: User | null;
}

export interface User {
  name: string;
  id: string;
  roles: string[];
  /** Whether there may be costs that are not shown. */
  limited: boolean;
  /** Whether any costs are. */
  views: boolean;
  saves: boolean;
  operates: boolean;
  until: string | null;
}
