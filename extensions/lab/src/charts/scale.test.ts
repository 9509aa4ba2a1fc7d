import { linear, shown, ticks } from './scale';

describe('scale', () => {
  it('places the ends of the domain at the ends of the range', () => {
    const scale = linear([-2, 6], [0, 80]);

    expect([scale(-2), scale(2), scale(6)]).toEqual([0, 40, 80]);
  });

  it('widens a domain of one value, and takes what is not finite to the start', () => {
    const scale = linear([3, 3], [10, 20]);

    expect(scale(3)).toBe(15);
    expect(scale(NaN)).toBe(10);
  });

  it('has round ticks within the domain', () => {
    expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(-0.3, 0.3, 3)).toEqual([-0.2, 0, 0.2]);
  });

  it('shows numbers in four digits, and says what is none', () => {
    expect([0, -0.12345, 123456, 1e9, NaN, -Infinity].map(shown)).toEqual([
      '0',
      '−0.1235',
      '123500',
      '1.00e+9',
      'NaN',
      '−∞'
    ]);
  });
});
