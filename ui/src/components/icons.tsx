/** Small line drawings; what they stand for is said in words beside them. */

const PATHS = {
  overview: "M3 13.5h6V3H3zM11.5 17H17V9.5h-5.5zM11.5 7H17V3h-5.5zM3 17h6v-1H3z",
  allocations: "M3 17V11M8 17V4M13 17V8M17.5 17V13",
  assets: "M3 4.5h14v4H3zM3 11.5h14v4H3zM6 6.5h.01M6 13.5h.01",
  clusters: "M10 2.5 16.5 6v8L10 17.5 3.5 14V6zM10 10l6.3-3.800M10 10v7.3M10 10 3.700 6.200",
  close: "M5 5l10 10M15 5 5 15",
  down: "M5.5 8l4.5 4.5L14.5 8",
  up: "M5.5 12l4.5-4.5 4.5 4.5",
  left: "M12 5.5 7.5 10l4.5 4.5",
  right: "M8 5.5l4.5 4.5L8 14.5",
  plus: "M10 4.5v11M4.5 10h11",
  filter: "M3 5h14M6 10h8M8.5 15h3",
  share: "M10 3v9M6.5 6.5 10 3l3.5 3.5M4 11v5.5h12V11",
  calendar: "M3.5 5h13v11.5h-13zM3.5 8.5h13M7 3v3.5M13 3v3.5",
  download: "M10 3.5v9M6.5 9.5 10 13l3.5-3.5M4 16.5h12",
  details: "M3.5 3.5h13v13h-13zM12 3.5v13",
  star: "M10 3l2.100 4.400 4.900.6-3.600 3.400.9 4.800L10 13.900l-4.3 2.3.9-4.800L3 8l4.900-.6z",
  sun: "M10 6.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7M10 1.5v2M10 16.5v2M1.5 10h2M16.5 10h2M4 4l1.400 1.400M14.600 14.600 16 16M16 4l-1.400 1.400M5.400 14.600 4 16",
  moon: "M16.5 12A7 7 0 0 1 8 3.5 7 7 0 1 0 16.5 12z",
  auto: "M10 3a7 7 0 1 0 0 14zM10 3a7 7 0 0 1 0 14",
  person: "M10 3a3.2 3.2 0 1 0 0 6.4A3.2 3.2 0 0 0 10 3M3.5 17c.6-3.300 3.200-5 6.500-5s5.900 1.700 6.500 5",
  settings: "M3 6h8M15 6h2M3 14h2M9 14h8M11 4v4M5.5 12v4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16 }: { name: IconName; size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 20 20" aria-hidden="true">
      <path
        d={PATHS[name]}
        fill="none"
        stroke="currentColor"
        strokeWidth="1.6"
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  );
}
