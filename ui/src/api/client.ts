/** Asking the gateway that served this page. */

/** Why there is no answer, for people. */
export class ApiError extends Error {
  /** The HTTP status; 0 when the gateway could not be reached. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export type Parameters = Record<string, string | number | boolean | undefined>;

/** The address of a question. Parameters that are undefined or empty are left out. */
export function address(path: string, parameters: Parameters = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

async function messageOf(response: Response): Promise<string> {
  const text = await response.text();
  try {
    const message: unknown = (JSON.parse(text) as { message?: unknown }).message;
    if (typeof message === "string") return message;
  } catch {
    // A proxy in between may answer with something else, which people can read as it is.
  }
  return text.trim().slice(0, 500) || `the gateway answered with status ${response.status}`;
}

/** Sends a request and reads JSON. Throws [`ApiError`]. */
export async function request<T>(url: string, init: RequestInit = {}): Promise<T> {
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers: { accept: "application/json", ...init.headers } });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "the gateway cannot be reached");
  }
  if (!response.ok) throw new ApiError(response.status, await messageOf(response));
  if (response.status === 204) return undefined as T;
  try {
    return (await response.json()) as T;
  } catch {
    throw new ApiError(response.status, "the answer was cut off; the log of the gateway says why");
  }
}

/** Asks a question of the API, and answers its `data`. */
export async function ask<T>(path: string, parameters: Parameters, signal?: AbortSignal): Promise<T> {
  const init = signal ? { signal } : {};
  return (await request<{ data: T }>(address(path, parameters), init)).data;
}
