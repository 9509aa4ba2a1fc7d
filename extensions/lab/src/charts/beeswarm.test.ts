import { aside, level } from './beeswarm';

describe('beeswarm', () => {
  it('moves points aside that lie on one another, alone they stay in the middle', () => {
    const moved = aside([10, 10, 10, 200], 12);

    expect(moved[0]).toBe(0);
    expect(new Set(moved.slice(0, 3)).size).toBe(3);
    expect(moved[3]).toBe(0);
  });

  it('keeps a crowd within its lane', () => {
    expect(aside(Array(500).fill(3), 12).every(each => Math.abs(each) <= 12)).toBe(true);
  });

  it('knows no level for what has no order', () => {
    expect([0, 0.5, 1, null, NaN].map(level)).toEqual([0, 2, 4, -1, -1]);
  });
});
