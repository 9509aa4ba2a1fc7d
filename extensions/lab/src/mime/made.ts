/** Explanations made by hand, for tests. */

/** A bundle as the kernel writes it: one or more rows of three features, by both methods. */
export function made(rows = 1, part: Record<string, unknown> = {}): Record<string, unknown> {
  const times = <T>(value: T): T[] => Array.from({ length: rows }, () => value);
  const shares = {
    kind: 'shares',
    method: 'trees',
    unit: 'probability',
    is_exact: true,
    seed: null,
    rows,
    feature_names: ['income', 'town', 'debt'],
    feature_units: ['€', '', ''],
    output_names: ['repaid'],
    complement: 'default',
    values: times([[0.2], [-0.1], [0.05]]),
    base: times([0.5]),
    prediction: times([0.65]),
    data: times([30.5, 'Ulm', null]),
    surrogate: null,
    importance: [[0.2], [0.1], [0.05]],
    gap: 0,
    notes: ['The background is one single row.'],
    ...part
  };
  const surrogate = {
    ...shares,
    kind: 'surrogate',
    method: 'LIME',
    is_exact: false,
    seed: 0,
    values: times([[0.3], [0], [0.1]]),
    importance: [[0.3], [0], [0.1]],
    surrogate: { r2: times([0.5]), selected: times([[0, 2]]) },
    notes: [],
    ...part
  };
  return { version: 1, explanations: [shares, surrogate], audit: null };
}
